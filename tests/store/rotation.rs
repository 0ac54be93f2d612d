//! A new key-encryption key, while servers run.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tieline::config::{Config, Database, Strings};
use tieline::store::{Anchor, AuditEvent, CustomerKey, Item, NewCall, Store};

use crate::fresh::{Fresh, count, on_both};
use crate::private::fill;
use crate::shred;

on_both! {
    servers_go_on_while_the_key_changes
    a_key_that_was_staged_comes_to_servers_with_files_of_their_own
    a_rotation_that_was_interrupted_goes_on
    a_key_that_was_replaced_does_not_come_back
    a_key_that_does_not_open_is_named_and_left
}

fn keyed(fresh: &Fresh, file: &Path) -> Database {
    let file = file.to_str().expect("UTF-8");
    let strings: Strings = [("DATABASE_URL", fresh.url.as_str()), ("KEK_FILE", file)]
        .into_iter()
        .collect();
    Config::parse(&strings).expect("good").database
}

async fn open(database: &Database) -> Store {
    Store::open(database).await.expect("usable")
}

fn call(sid: String) -> NewCall {
    NewCall {
        call_sid: sid,
        from: Some("+12125550188".to_owned()),
        agent: "front-desk".to_owned(),
        ..NewCall::default()
    }
}

/// The end of the audit trail, with an event more.
async fn audited(store: &Store) -> Anchor {
    let event = AuditEvent {
        actor: "agent",
        action: "tool",
        subject: "CA1",
        outcome: "found",
        detail: "find_customer",
        origin: "call",
    };
    store.audit(&event).await.expect("written");
    store.audit_head().await.expect("a head")
}

/// The lines of a key file that hold keys.
fn keys(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("a key file");
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

async fn servers_go_on_while_the_key_changes(fresh: Fresh) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("kek.key");
    let database = keyed(&fresh, &file);
    let servers = [open(&database).await, open(&database).await];
    fill(&servers[0]).await;
    for n in 0..450 {
        servers[0].begin_call(&call(format!("CB{n}"))).await.expect("begun");
    }
    let raw = fresh.raw().await;
    let before = count(&raw, "SELECT count(*) FROM data_keys").await;
    let over = Arc::new(AtomicBool::new(false));
    let calling = servers.clone().into_iter().enumerate().map(|(place, server)| {
        let over = Arc::clone(&over);
        tokio::spawn(async move {
            let mut n = 0;
            while !over.load(Ordering::Relaxed) {
                let sid = format!("CC{place}x{n}");
                server.begin_call(&call(sid.clone())).await.expect("begun");
                let kept = server.call(&sid).await.expect("readable").expect("there").call;
                assert_eq!(kept.from.as_deref(), Some("+12125550188"));
                let old = server.call("CB7").await.expect("readable").expect("there").call;
                assert_eq!(old.from.as_deref(), Some("+12125550188"));
                n += 1;
            }
            n
        })
    });
    let calling: Vec<_> = calling.collect();
    let other = open(&database).await;
    let before_it = audited(&servers[0]).await;
    let rotated = other.rotate_kek(true).await.expect("rotated");
    over.store(true, Ordering::Relaxed);
    let mut made = 0;
    for calling in calling {
        made += calling.await.expect("no panic");
    }
    // The database was never locked for long: calls were taken meanwhile, and after it.
    assert!(made > 0 && rotated.keys >= before as u64, "{made} {rotated:?}");
    servers[1].begin_call(&call("CD1".to_owned())).await.expect("begun");
    assert!(rotated.unreadable.is_empty() && rotated.old.len() == 1);
    let under_old = format!("SELECT count(*) FROM data_keys WHERE kek_id <> '{}'", rotated.kek_id);
    let left: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(under_old))
        .fetch_one(&raw)
        .await
        .expect("a count");
    assert_eq!(left, 0, "whoever made a key late used the new one");
    // Servers that were there and one that comes now go on with one audit trail.
    for store in [&servers[0], &servers[1], &open(&database).await] {
        audited(store).await;
        let found = store.verify_audit(Some(&before_it)).await.expect("readable");
        assert_eq!(found.faults, Vec::<String>::new());
    }
    for store in [servers[0].clone(), servers[1].clone(), other] {
        assert_eq!(store.verify().await.expect("readable").faults, Vec::<String>::new());
    }
    // The new key alone opens everything; the old one alone nothing.
    let [new, old] = keys(&file).try_into().expect("two keys");
    std::fs::write(&file, &new).expect("written");
    let store = open(&database).await;
    assert!(
        store
            .find_customer(CustomerKey::Number("482615"))
            .await
            .expect("answered")
            .is_some()
    );
    std::fs::write(&file, &old).expect("written");
    let told = Store::open(&database).await.expect_err("the old key").to_string();
    assert!(
        told.contains(&format!("it is encrypted with the key {}", rotated.kek_id)),
        "{told}"
    );
}

async fn a_key_that_was_staged_comes_to_servers_with_files_of_their_own(fresh: Fresh) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (here, there) = (dir.path().join("here.key"), dir.path().join("there.key"));
    let (ours, theirs) = (keyed(&fresh, &here), keyed(&fresh, &there));
    let server = open(&ours).await;
    std::fs::copy(&here, &there).expect("copied");
    let elsewhere = open(&theirs).await;
    let staged = server.stage_kek().await.expect("staged");
    assert_eq!(server.stage_kek().await.expect("staged already"), staged);
    assert_eq!(keys(&here).len(), 2);
    server.begin_call(&call("CA1".to_owned())).await.expect("begun");
    assert!(
        elsewhere.call("CA1").await.expect("readable").is_some(),
        "nothing is encrypted with it yet"
    );
    std::fs::copy(&here, &there).expect("copied");
    let rotated = server.rotate_kek(true).await.expect("rotated");
    assert_eq!((&rotated.kek_id, keys(&here).len()), (&staged, 2));
    elsewhere
        .begin_call(&call("CA2".to_owned()))
        .await
        .expect("begun with the new key");
    assert_eq!(
        server.call("CA2").await.expect("readable").expect("there").turns.len(),
        0
    );
    assert_eq!(elsewhere.verify().await.expect("readable").faults, Vec::<String>::new());
    // A server that was forgotten says what it lacks.
    std::fs::write(&there, &keys(&here)[1]).expect("written");
    let told = Store::open(&theirs).await.expect_err("the old key").to_string();
    assert!(told.contains(&staged) && told.contains("there.key"), "{told}");
}

async fn a_rotation_that_was_interrupted_goes_on(fresh: Fresh) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("kek.key");
    let store = open(&keyed(&fresh, &file)).await;
    fill(&store).await;
    let raw = fresh.raw().await;
    let rows: Vec<(String, String, String)> =
        sqlx::query_as("SELECT id, kek_id, wrapped FROM data_keys WHERE id LIKE 'call/%'")
            .fetch_all(&raw)
            .await
            .expect("rows");
    let first = store.rotate_kek(true).await.expect("rotated");
    // As if it had come to half of them.
    let interrupt = async || {
        for (id, kek_id, wrapped) in &rows {
            sqlx::query("UPDATE data_keys SET kek_id = $2, wrapped = $3 WHERE id = $1")
                .bind(id)
                .bind(kek_id)
                .bind(wrapped)
                .execute(&raw)
                .await
                .expect("written");
        }
    };
    interrupt().await;
    let again = store.rotate_kek(true).await.expect("went on");
    assert_eq!((again.kek_id, again.keys), (first.kek_id.clone(), rows.len() as u64));
    assert_eq!(keys(&file).len(), 2, "no third key");
    let next = store.rotate_kek(true).await.expect("rotated");
    assert!(next.kek_id != first.kek_id && next.keys > 10 && next.old.len() == 2);
    // Who needs a new key gets one all the same.
    interrupt().await;
    let new = store.rotate_kek(false).await.expect("rotated");
    assert!(new.kek_id != next.kek_id && new.keys == next.keys && new.old.len() == 3);
    assert_eq!(store.verify().await.expect("readable").faults, Vec::<String>::new());
}

async fn a_key_that_was_replaced_does_not_come_back(fresh: Fresh) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("kek.key");
    let store = open(&keyed(&fresh, &file)).await;
    let rotated = store.rotate_kek(true).await.expect("rotated");
    // As on a machine where the new key was put below the old one.
    let [new, old] = keys(&file).try_into().expect("two keys");
    std::fs::write(&file, format!("{old}\n{new}\n")).expect("written");
    for told in [
        store.rotate_kek(true).await.err(),
        store.rotate_kek(false).await.err(),
        store.stage_kek().await.err(),
    ] {
        let told = told.expect("refused").to_string();
        assert!(told.starts_with(&rotated.old[0]), "{told}");
        assert!(
            told.contains(&format!("put the line of {} first", rotated.kek_id)),
            "{told}"
        );
    }
    let raw = fresh.raw().await;
    let question = format!("SELECT count(*) FROM data_keys WHERE kek_id <> '{}'", rotated.kek_id);
    let under_old: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(question))
        .fetch_one(&raw)
        .await
        .expect("a count");
    assert_eq!((under_old, keys(&file).len()), (0, 2), "nothing was changed");
    std::fs::write(&file, format!("{new}\n{old}\n")).expect("written");
    assert_eq!(store.rotate_kek(true).await.expect("rotated").old.len(), 2);
}

async fn a_key_that_does_not_open_is_named_and_left(fresh: Fresh) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(&keyed(&fresh, &dir.path().join("kek.key"))).await;
    fill(&store).await;
    assert!(shred(&store, Item::Content("CA2".to_owned())).await);
    let raw = fresh.raw().await;
    sqlx::query("UPDATE data_keys SET wrapped = 'nothing' WHERE id = 'call/CA1'")
        .execute(&raw)
        .await
        .expect("written");
    let rotated = store.rotate_kek(true).await.expect("rotated");
    assert_eq!(rotated.unreadable, ["call/CA1"]);
    // Nor does it keep another key from coming.
    let again = store.rotate_kek(true).await.expect("rotated");
    assert_eq!(again.unreadable, ["call/CA1"]);
    assert!(again.kek_id != rotated.kek_id && again.keys == rotated.keys);
    let left = count(&raw, "SELECT count(*) FROM data_keys WHERE wrapped = 'nothing'").await;
    let shredded = count(
        &raw,
        "SELECT count(*) FROM data_keys WHERE wrapped IS NULL AND id = 'call/CA2'",
    )
    .await;
    assert_eq!((left, shredded), (1, 1));
    let found = store.verify().await.expect("readable");
    assert_eq!(
        found.faults,
        [
            "data_keys.wrapped of call/CA1 was altered, or belongs to another record",
            "data_keys.wrapped of call/CA1 was altered, or belongs to another record"
        ]
    );
}

#[tokio::test]
async fn a_key_of_the_environment_is_changed_by_its_owner() {
    let fresh = Fresh::sqlite();
    let store = fresh.open().await;
    let told = store.rotate_kek(true).await.expect_err("not ours").to_string();
    assert!(
        told.contains("KEK is not a file that tieline may write") && told.contains("openssl rand"),
        "{told}"
    );
    let new = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let kek = format!("{new},{}", crate::fresh::KEK);
    let strings: Strings = [("DATABASE_URL", fresh.url.as_str()), ("KEK", kek.as_str())]
        .into_iter()
        .collect();
    let with_both = open(&Config::parse(&strings).expect("good").database).await;
    let rotated = with_both.rotate_kek(true).await.expect("rotated");
    assert!(rotated.keys > 6 && rotated.old.len() == 1);
    let strings: Strings = [("DATABASE_URL", fresh.url.as_str()), ("KEK", new)]
        .into_iter()
        .collect();
    let with_new = open(&Config::parse(&strings).expect("good").database).await;
    assert_eq!(with_new.verify().await.expect("readable").faults, Vec::<String>::new());
}
