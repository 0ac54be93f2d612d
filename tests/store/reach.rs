//! Which address a PostgreSQL connection goes to: a real server behind a TCP port, and a resolver that tells what it is told.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tieline::privacy::egress::{Egress, Names, Policy, Purpose};
use tieline::store::Store;
use tokio::net::{TcpListener, UnixStream};

use crate::fresh::{Fresh, database};

/// Answers with the next list; the last one stays.
struct Resolver(Mutex<VecDeque<&'static [&'static str]>>);

impl Names for Resolver {
    fn look_up<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let mut answers = self.0.lock().expect("no panic under the lock");
        let next = if answers.len() > 1 {
            answers.pop_front()
        } else {
            answers.front().copied()
        };
        let found = next
            .unwrap_or_default()
            .iter()
            .map(|one| one.parse().expect("an address"));
        std::future::ready(Ok(found.collect())).boxed()
    }
}

fn guard(policy: Policy, answers: &[&'static [&'static str]]) -> Egress {
    Egress::with_names(policy, Resolver(Mutex::new(answers.iter().copied().collect())))
}

/// The test server's socket behind a port of this machine; counts the connections.
async fn behind_a_port(fresh: &Fresh) -> (String, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let (server, name) = fresh.url.rsplit_once('/').expect("a path");
    let dir = server.rsplit_once('@').expect("a user").1.replace("%2F", "/");
    let connections = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut outside, _)) = listener.accept().await {
            *counter.lock().expect("no panic under the lock") += 1;
            let socket = format!("{dir}/.s.PGSQL.5432");
            tokio::spawn(async move {
                let mut inside = UnixStream::connect(socket).await.expect("the test server");
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    let url = format!("postgres://tieline:no-password-asked@db.example.org:{port}/{name}");
    (url, connections)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_go_to_the_address_that_was_admitted_and_to_no_later_one() {
    let fresh = Fresh::postgres().await;
    let (url, connections) = behind_a_port(&fresh).await;
    // No resolver but ours knows the name, so what connects does so by the address that the guard has found.
    let egress = guard(Policy::default(), &[&["203.0.113.9", "127.0.0.1"], &["203.0.113.9"]]);
    let store = Store::open_within(&database(&url, true), &egress)
        .await
        .expect("admitted");
    let customer = store.find_customer(tieline::store::CustomerKey::Number("482615")).await;
    assert!(customer.expect("found by a connection of the pool").is_some());
    assert!(*connections.lock().expect("no panic under the lock") >= 2);
    store.close().await;
    let before = *connections.lock().expect("no panic under the lock");
    let refused = Store::open_within(&database(&url, true), &egress)
        .await
        .expect_err("rebound")
        .to_string();
    assert!(
        refused.contains("db.example.org is not contacted: it is at 203.0.113.9, a public address")
            && refused.contains("EGRESS_ALLOW")
            && !refused.contains("no-password-asked"),
        "{refused}"
    );
    let looked = Store::examine_within(&database(&url, true), &egress).await;
    assert!(looked.expect_err("rebound").to_string().contains("is not contacted"));
    assert_eq!(*connections.lock().expect("no panic under the lock"), before);
    let count = egress
        .counts()
        .into_iter()
        .find(|count| count.purpose == Purpose::Database);
    let count = count.expect("every purpose is counted");
    assert_eq!((count.allowed, count.refused), (1, 2));
}

#[tokio::test]
async fn a_listed_server_is_asked_with_encryption_only() {
    let policy = Policy {
        allow: vec!["db.example.org".parse().expect("a host")],
        ..Policy::default()
    };
    let egress = guard(policy, &[&["203.0.113.9"]]);
    let url = "postgres://u:no-password-asked@db.example.org/d";
    let refused = Store::open_within(&database(url, true), &egress)
        .await
        .expect_err("in the clear")
        .to_string();
    assert!(
        refused.contains("without encryption") && refused.contains("sslmode=verify-full"),
        "{refused}"
    );
}

#[tokio::test]
async fn without_rules_of_its_own_a_store_stays_in_the_house() {
    let url = "postgres://u:no-password-asked@203.0.113.9/d";
    let refused = Store::open(&database(url, true))
        .await
        .expect_err("outside")
        .to_string();
    assert!(refused.contains("203.0.113.9 is not contacted"), "{refused}");
}
