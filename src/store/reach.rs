//! Where a database connection goes: to an address that the egress guard has admitted.
//!
//! sqlx looks names up by itself, so the guard looks first, and the address it admits is what sqlx is given: a name that leads
//! elsewhere later takes no connection with it. With `sslmode=verify-full` the name must stay, as the certificate is for it; then
//! it is the certificate that a server elsewhere does not have.

use std::net::IpAddr;
use std::time::Duration;

use sqlx::AnyPool;
use sqlx::any::AnyConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use super::Kind;
use super::connect::{Why, explain};
use crate::privacy::egress::{Egress, Origin, Purpose, Refused};

/// A PostgreSQL server as its URL names it.
struct Server {
    /// `None`: a socket of this machine.
    origin: Option<Origin>,
    mode: PgSslMode,
}

impl Server {
    fn of(url: &str) -> Result<Self, Why> {
        let options: PgConnectOptions = url
            .parse()
            .map_err(|error| (explain(&error), Kind::Postgres.remedy()))?;
        let mode = options.get_ssl_mode();
        let host = options.get_host();
        let local = options.get_socket().is_some() || host.starts_with('/');
        Ok(Self {
            origin: (!local).then(|| Origin::named(host, options.get_port(), is_encrypted(mode))),
            mode,
        })
    }

    /// Whether the address may stand in the name's place: not where the certificate must be for the name, and not where the name is
    /// what `EGRESS_ALLOW` trusts.
    fn may_be_pinned(&self, origin: &Origin, egress: &Egress) -> bool {
        origin.literal().is_none()
            && !matches!(self.mode, PgSslMode::VerifyFull)
            && !egress.policy().trusts_name(Purpose::Database, origin)
    }
}

/// The server of a PostgreSQL URL, for the guard; `None` if it is a socket of this machine, or the URL is not good.
pub fn postgres_origin(url: &str) -> Option<Origin> {
    Server::of(url).ok()?.origin
}

/// What to connect with, once the guard has admitted the server.
pub(super) async fn admitted(url: &str, egress: &Egress) -> Result<AnyConnectOptions, Why> {
    let server = Server::of(url)?;
    let Some(origin) = &server.origin else {
        return options(url);
    };
    let found = egress.connectable(Purpose::Database, origin).await;
    let addresses = found.map_err(|error| {
        let refused = crate::privacy::egress::refused(&error).map(Refused::to_string);
        match refused {
            Some(refused) => (refused, ELSEWHERE),
            None => (error.to_string(), Kind::Postgres.remedy()),
        }
    })?;
    match addresses.first() {
        Some(address) if server.may_be_pinned(origin, egress) => options(&pinned(url, *address)),
        _ => options(url),
    }
}

/// Follows the server where its name leads, as long as the guard admits that. Ends with the pool.
pub(super) fn follow(pool: AnyPool, url: String, egress: Egress, mut current: AnyConnectOptions) {
    let Ok(server) = Server::of(&url) else { return };
    let Some(origin) = server.origin.clone() else { return };
    if !server.may_be_pinned(&origin, &egress) {
        return;
    }
    tokio::spawn(async move {
        let mut look = tokio::time::interval(LOOK);
        look.tick().await;
        loop {
            tokio::select! {
                () = pool.close_event() => return,
                _ = look.tick() => {}
            }
            if let Some(next) = moved(&url, &origin, &current, &egress).await {
                tracing::info!("the database has another address; new connections go there");
                pool.set_connect_options(next.clone());
                current = next;
            }
        }
    });
}

/// What to connect with from now on, if the name leads elsewhere and the guard admits that.
async fn moved(url: &str, origin: &Origin, current: &AnyConnectOptions, egress: &Egress) -> Option<AnyConnectOptions> {
    let looked = egress.look(Purpose::Database, origin).await.ok()?;
    let mut there = looked.admitted().map(|address| pinned(url, address));
    if there.any(|other| other == current.database_url.as_str()) {
        return None;
    }
    // A decision that counts.
    admitted(url, egress).await.ok()
}

fn options(url: &str) -> Result<AnyConnectOptions, Why> {
    url.parse()
        .map_err(|_| ("it is not a URL".to_owned(), Kind::Postgres.remedy()))
}

/// The last one counts.
fn pinned(url: &str, address: IpAddr) -> String {
    match Url::parse(url) {
        Ok(mut url) => {
            url.query_pairs_mut().append_pair("hostaddr", &address.to_string());
            url.into()
        }
        Err(_) => url.to_owned(),
    }
}

fn is_encrypted(mode: PgSslMode) -> bool {
    match mode {
        PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => true,
        PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer => false,
    }
}

/// How often a moved server is noticed.
const LOOK: Duration = Duration::from_secs(30);
const ELSEWHERE: &str = "Use a database of this machine or a private network; or, if records may go there, add its host to EGRESS_ALLOW and \
     ?sslmode=verify-full to DATABASE_URL";

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::privacy::egress::{Names, Policy};

    /// Tells what it is told to.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<IpAddr>>>);

    impl Told {
        fn tell(&self, addresses: &[&str]) {
            let addresses = addresses.iter().map(|one| one.parse().expect("an address"));
            *self.0.lock().expect("not poisoned") = addresses.collect();
        }
    }

    impl Names for Told {
        fn look_up<'a>(&'a self, _: &'a str) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>> {
            std::future::ready(Ok(self.0.lock().expect("not poisoned").clone())).boxed()
        }
    }

    #[tokio::test]
    async fn a_server_that_moves_is_followed_within_the_house_only() {
        let (url, names) = ("postgres://u@db.example.org/d", Told::default());
        let egress = Egress::with_names(Policy::default(), names.clone());
        let origin = postgres_origin(url).expect("a server");
        names.tell(&["10.0.0.1"]);
        let Ok(first) = admitted(url, &egress).await else {
            panic!("not admitted")
        };
        assert!(first.database_url.as_str().ends_with("?hostaddr=10.0.0.1"));
        names.tell(&["10.0.0.2", "10.0.0.1"]);
        assert!(
            moved(url, &origin, &first, &egress).await.is_none(),
            "it is still there"
        );
        names.tell(&["203.0.113.9"]);
        assert!(
            moved(url, &origin, &first, &egress).await.is_none(),
            "nobody follows outside"
        );
        names.tell(&["203.0.113.9", "10.0.0.2"]);
        let second = moved(url, &origin, &first, &egress).await.expect("moved");
        assert!(second.database_url.as_str().ends_with("?hostaddr=10.0.0.2"));
        names.tell(&[]);
        assert!(
            moved(url, &origin, &second, &egress).await.is_none(),
            "a resolver that is down"
        );
    }

    #[tokio::test]
    async fn a_name_stays_where_the_certificate_or_the_list_is_for_it() {
        let names = Told::default();
        names.tell(&["10.0.0.1"]);
        let verified = "postgres://u@db.example.org/d?sslmode=verify-full";
        let strict = Egress::with_names(Policy::default(), names.clone());
        let listing = Policy {
            allow: vec!["db.example.org".parse().expect("a host")],
            ..Policy::default()
        };
        let listing = Egress::with_names(listing, names);
        let required = "postgres://u@db.example.org/d?sslmode=require";
        for (url, egress) in [(verified, &strict), (required, &listing)] {
            let Ok(options) = admitted(url, egress).await else {
                panic!("not admitted")
            };
            assert_eq!(options.database_url.as_str(), url);
        }
    }

    #[test]
    fn the_server_is_the_one_that_sqlx_connects_to() {
        let shown = |url: &str| {
            let origin = postgres_origin(url)?;
            let mark = if origin.encrypted { " encrypted" } else { "" };
            Some(format!("{origin}{mark}"))
        };
        for (url, expected) in [
            ("postgres://u@db/d", Some("db:5432")),
            (
                "postgres://u:p@db.example:6000/d?sslmode=require",
                Some("db.example:6000 encrypted"),
            ),
            ("postgres://u@db/d?host=other&port=7", Some("other:7")),
            ("postgres://u@db/d?hostaddr=203.0.113.9", Some("203.0.113.9:5432")),
            ("postgres://u@[fd00::1]/d?sslmode=prefer", Some("[fd00::1]:5432")),
            ("postgres://u@%2Frun%2Fpg/d", None),
            ("postgres://u@db/d?host=/run/pg", None),
        ] {
            assert_eq!(shown(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn what_was_admitted_is_what_sqlx_is_given() {
        for (url, address) in [
            ("postgres://u:p@db:6000/d?host=other&sslmode=require", "10.0.0.7"),
            ("postgres://u:p@db:6000/d", "fd00::7"),
        ] {
            let options: PgConnectOptions = pinned(url, address.parse().expect("an address"))
                .parse()
                .expect("a URL");
            assert_eq!((options.get_host(), options.get_port()), (address, 6000));
            assert_eq!(options.get_database(), Some("d"));
        }
    }
}
