//! The egress guard: which machines this process may connect to, decided in one place.
//!
//! [`Policy`] is the rules. [`Egress`] holds them for a process, looks names up, decides about each address that is found, and
//! counts. An [`Outlet`] is an HTTP client of one server: it connects only to addresses that were admitted for that
//! connection, so that a name which leads home today and outside tomorrow is refused tomorrow. It follows no redirect to
//! another place, and no proxy of the environment, which would look names up on its own.
//!
//! Everything that serves calls goes out this way (`tests/architecture.rs` checks it). Commands that set a machine up or look
//! at it (`models pull`, `doctor`, the simulated caller) contact what they are there to contact, and hold no call.

mod outlet;
mod policy;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use url::Host;

pub use outlet::{Outlet, OutletError, Redirects, innermost, refusal};
pub use policy::{Allowed, Mode, Origin, Policy, Purpose, Rule, Why};

/// The guard of one process. Clones are the same guard.
#[derive(Clone)]
pub struct Egress(Arc<Guard>);

struct Guard {
    policy: Policy,
    names: Box<dyn Names>,
    /// By [`Purpose::ALL`].
    counters: [Counter; Purpose::ALL.len()],
    /// Where refusals are told, if anybody listens.
    told: OnceLock<mpsc::Sender<(Purpose, Refused)>>,
}

#[derive(Default)]
struct Counter {
    allowed: AtomicU64,
    refused: AtomicU64,
}

/// How often connections for a purpose were decided about since the process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// What they were for.
    pub purpose: Purpose,
    /// An address could be connected to.
    pub allowed: u64,
    /// None could.
    pub refused: u64,
}

/// Finds the addresses of a name.
pub trait Names: Send + Sync {
    /// In the order in which they are to be tried.
    fn look_up<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// As the system does, so by the hosts file and the resolver of this machine.
struct SystemNames;

impl Names for SystemNames {
    fn look_up<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        }
        .boxed()
    }
}

/// What was found of a server, and thought of it.
#[derive(Debug)]
pub struct Looked {
    /// Every address with its verdict, in the order found.
    pub addresses: Vec<(IpAddr, Result<Rule, Why>)>,
}

impl Looked {
    /// Where one may connect to.
    pub fn admitted(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses
            .iter()
            .filter(|(_, verdict)| verdict.is_ok())
            .map(|(address, _)| *address)
    }

    /// The first reason against, if no address is admitted.
    pub fn refused(&self) -> Option<(IpAddr, Why)> {
        if self.admitted().next().is_some() {
            return None;
        }
        let mut reasons = self.addresses.iter().filter_map(|(address, verdict)| {
            let why = verdict.as_ref().err()?;
            Some((*address, *why))
        });
        reasons.next()
    }
}

/// A connection that was not made. Tells the host and its address, and nothing of what would have been sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} is not contacted: it is at {address}, {why}")]
pub struct Refused {
    /// The server's name or address.
    pub host: Host<String>,
    /// One of its addresses.
    pub address: IpAddr,
    /// What is against it.
    pub why: Why,
}

impl Egress {
    /// A guard by these rules.
    pub fn new(policy: Policy) -> Self {
        Self::with_names(policy, SystemNames)
    }

    /// With another way to look names up: for tests.
    pub fn with_names(policy: Policy, names: impl Names + 'static) -> Self {
        Self(Arc::new(Guard {
            policy,
            names: Box::new(names),
            counters: std::array::from_fn(|_| Counter::default()),
            told: OnceLock::new(),
        }))
    }

    /// The rules.
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// Looks a server up and judges its addresses, without connecting to it or counting.
    pub async fn look(&self, purpose: Purpose, origin: &Origin) -> io::Result<Looked> {
        let found = match (&origin.host, origin.literal()) {
            (_, Some(address)) => vec![address],
            (Host::Domain(name), None) => tokio::time::timeout(PATIENCE, self.0.names.look_up(name))
                .await
                .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the name was not looked up in time"))??,
            (Host::Ipv4(_) | Host::Ipv6(_), None) => Vec::new(),
        };
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        let judge = |address: IpAddr| (address, self.0.policy.admit(purpose, origin, address));
        Ok(Looked {
            addresses: found.into_iter().map(judge).collect(),
        })
    }

    /// Where to connect to now: the addresses that are admitted, never none. Counted; for each connection anew.
    pub async fn connectable(&self, purpose: Purpose, origin: &Origin) -> io::Result<Vec<IpAddr>> {
        let looked = self.look(purpose, origin).await?;
        let admitted: Vec<IpAddr> = looked.admitted().collect();
        let refused = looked.refused();
        self.count(purpose, refused.is_none());
        let Some((address, why)) = refused else {
            return Ok(admitted);
        };
        let host = origin.host.clone();
        let refused = Refused { host, address, why };
        tracing::warn!(purpose = purpose.name(), %refused, "{} connection refused: {refused}", purpose.name());
        if let Some(told) = self.0.told.get() {
            // Whoever listens is behind: the log and the counter have it.
            let _ = told.try_send((purpose, refused.clone()));
        }
        Err(io::Error::new(io::ErrorKind::PermissionDenied, refused))
    }

    /// Refusals from now on, for one listener: `None` if there is one already. Of more than it takes in time, the rest is only logged and counted.
    pub fn refusals(&self) -> Option<mpsc::Receiver<(Purpose, Refused)>> {
        let (told, refusals) = mpsc::channel(UNHEARD);
        self.0.told.set(told).ok().map(|()| refusals)
    }

    /// How often was decided what, by purpose: for metrics.
    pub fn counts(&self) -> [Count; Purpose::ALL.len()] {
        std::array::from_fn(|at| Count {
            purpose: Purpose::ALL[at],
            allowed: self.0.counters[at].allowed.load(Ordering::Relaxed),
            refused: self.0.counters[at].refused.load(Ordering::Relaxed),
        })
    }

    fn count(&self, purpose: Purpose, allowed: bool) {
        let at = Purpose::ALL.iter().position(|other| *other == purpose);
        let Some(counter) = at.and_then(|at| self.0.counters.get(at)) else {
            return;
        };
        let counter = if allowed { &counter.allowed } else { &counter.refused };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Default for Egress {
    /// By the strictest rules.
    fn default() -> Self {
        Self::new(Policy::default())
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Egress").field(&self.0.policy).finish()
    }
}

/// The reason of an error that [`Egress::connectable`] gave, if it was a refusal.
pub fn refused(error: &io::Error) -> Option<&Refused> {
    error.get_ref()?.downcast_ref()
}

/// Refusals that may wait for the listener.
const UNHEARD: usize = 64;
/// Resolvers give up after about as long.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;

    /// Answers with the next list, whatever is asked.
    struct Told(Mutex<VecDeque<Vec<&'static str>>>);

    impl Names for Told {
        fn look_up<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
            let next = self.0.lock().expect("not poisoned").pop_front().unwrap_or_default();
            let found = next.iter().map(|address| address.parse().expect("an address"));
            futures_util::future::ready(Ok(found.collect())).boxed()
        }
    }

    fn guard<const N: usize>(answers: [&[&'static str]; N]) -> Egress {
        let answers = answers.into_iter().map(<[_]>::to_vec).collect();
        Egress::with_names(Policy::default(), Told(Mutex::new(answers)))
    }

    #[tokio::test]
    async fn a_name_that_also_leads_outside_leads_home_only() {
        let guard = guard([&["8.8.8.8", "10.0.0.1", "169.254.169.254", "::1", "2001:db8::1"]]);
        let origin = Origin::named("llm.example.org", 443, true);
        let home = guard.connectable(Purpose::Llm, &origin).await.expect("admitted");
        assert_eq!(
            home,
            ["10.0.0.1", "::1"].map(|address| address.parse::<IpAddr>().expect("good"))
        );
    }

    #[tokio::test]
    async fn each_connection_is_decided_anew_and_counted() {
        let guard = guard([&["10.0.0.1"], &["8.8.8.8"], &[]]);
        let origin = Origin::named("llm.example.org", 443, true);
        assert!(guard.connectable(Purpose::Llm, &origin).await.is_ok());
        let error = guard.connectable(Purpose::Llm, &origin).await.expect_err("rebound");
        assert_eq!(
            refused(&error).expect("a refusal").to_string(),
            "llm.example.org is not contacted: it is at 8.8.8.8, a public address, and PRIVACY is on-prem"
        );
        let nowhere = guard.connectable(Purpose::Llm, &origin).await.expect_err("no address");
        assert!(refused(&nowhere).is_none());
        let count = guard.counts().into_iter().find(|count| count.purpose == Purpose::Llm);
        let count = count.expect("all are there");
        assert_eq!((count.allowed, count.refused), (1, 1));
        let others = guard.counts().into_iter().filter(|count| count.purpose != Purpose::Llm);
        assert!(others.into_iter().all(|count| count.allowed + count.refused == 0));
    }
}
