//! The agents' files while the server runs: a change is for new calls, and a broken file changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::operator;
use crate::dialog::agent::{Agent, Agents};
use crate::dialog::conversation::{Staff, StaffError};
use crate::dialog::tool::sms::Texts;
use crate::privacy::egress::Egress;
use crate::store::{AuditEvent, Store};

/// Where agents come from.
pub(super) struct Files {
    pub(super) dir: PathBuf,
    pub(super) default: String,
    pub(super) store: Option<Store>,
    pub(super) texts: Option<Texts>,
    pub(super) egress: Egress,
    pub(super) time_zone: TimeZone,
    /// Who answers instead of those in files.
    pub(super) only: Option<Agent>,
}

impl Files {
    #[expect(
        clippy::disallowed_methods,
        reason = "tools name variables of their own, which no setting knows"
    )]
    pub(super) fn load(&self) -> Result<Staff, StaffError> {
        let lookup = |name: &str| std::env::var(name).ok();
        let agents = match &self.only {
            Some(agent) => Agents::single(agent.clone()),
            None => Agents::load(&self.dir, &self.default)?,
        };
        let staff = Staff::of(agents, self.store.clone(), lookup, &self.egress)?;
        Ok(staff.texting(self.texts.clone()).in_time_zone(self.time_zone.clone()))
    }
}

/// The agents from here on, read again on SIGHUP and when a file changes.
pub(super) fn watch(files: Files, staff: Staff) -> watch::Receiver<Arc<Staff>> {
    let mut desk = Desk::new(files, staff);
    let receiver = desk.sender.subscribe();
    tokio::spawn(async move {
        // Without the signal the files are looked at all the same.
        let mut hangup = signal(SignalKind::hangup()).ok();
        let mut look = tokio::time::interval(LOOK);
        loop {
            let asked = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            let told = tokio::select! {
                _ = asked => true,
                _ = look.tick() => false,
                () = desk.sender.closed() => return,
            };
            if let Some(outcome) = desk.look(told) {
                desk.note(outcome).await;
            }
        }
    });
    receiver
}

/// The files and who came of them.
struct Desk {
    files: Files,
    seen: Stamps,
    sender: watch::Sender<Arc<Staff>>,
}

impl Desk {
    fn new(files: Files, staff: Staff) -> Self {
        Self {
            seen: stamps(&files.dir),
            files,
            sender: watch::Sender::new(Arc::new(staff)),
        }
    }

    /// Reads the files if they changed, or if told to; what came of it, in a word.
    fn look(&mut self, told: bool) -> Option<&'static str> {
        let now = stamps(&self.files.dir);
        if !told && now == self.seen {
            return None;
        }
        self.seen = now;
        match self.files.load() {
            Ok(staff) => {
                self.sender.send_replace(Arc::new(staff));
                tracing::info!("the agents were read again; new calls have them");
                Some("changed")
            }
            Err(error) => {
                tracing::error!(%error, "the agents stay as they were, because of a fault in a file: {error}");
                Some("refused")
            }
        }
    }

    /// Writes down that what the agents do was changed while the server runs.
    async fn note(&self, outcome: &str) {
        let Some(store) = &self.files.store else { return };
        let event = AuditEvent {
            actor: "server",
            action: "agents",
            subject: "",
            outcome,
            detail: "",
            origin: &operator::node(),
        };
        if let Err(error) = store.audit(&event).await {
            tracing::error!(%error, "changed agents are not in the audit trail: {error}");
        }
    }
}

/// When each file was last changed, and how long it was then.
type Stamps = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;

fn stamps(dir: &Path) -> Stamps {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "toml"));
    let stamp = |entry: &std::fs::DirEntry| {
        let file = entry.metadata().ok()?;
        Some((file.modified().ok()?, file.len()))
    };
    files.map(|entry| (entry.path(), stamp(&entry))).collect()
}

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, greeting: &str) {
        let text = format!("name = \"desk\"\ngreeting = {greeting}\nsystem_prompt = \"Be brief.\"\n");
        std::fs::write(dir.join("desk.toml"), text).expect("written");
    }

    #[tokio::test]
    async fn a_change_is_in_the_audit_trail() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite:{}", dir.path().join("tieline.db").display());
        let strings = [("DATABASE_URL", url.as_str())].into_iter().collect();
        let config = crate::config::Config::parse(&strings).expect("valid");
        let store = Store::open(&config.database).await.expect("a usable database");
        write(dir.path(), "\"One.\"");
        let files = Files {
            dir: dir.path().to_owned(),
            default: "desk".to_owned(),
            store: Some(store.clone()),
            texts: None,
            egress: Egress::default(),
            time_zone: TimeZone::UTC,
            only: None,
        };
        let staff = files.load().expect("a good file");
        let mut desk = Desk::new(files, staff);
        for greeting in ["\"Two, which is longer.\"", "\"Three"] {
            write(dir.path(), greeting);
            let outcome = desk.look(false).expect("a change");
            desk.note(outcome).await;
        }
        assert_eq!(desk.look(false), None);
        let mut events = store.audit_events(10).await.expect("listed");
        events.retain(|event| event.action == "agents");
        let outcomes: Vec<&str> = events.iter().map(|event| event.outcome.as_str()).collect();
        assert_eq!(outcomes, ["refused", "changed"]);
    }

    #[test]
    fn a_changed_file_is_for_new_calls_and_a_broken_one_changes_nothing() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        write(dir.path(), "\"One.\"");
        let files = Files {
            dir: dir.path().to_owned(),
            default: "desk".to_owned(),
            store: None,
            texts: None,
            egress: Egress::default(),
            time_zone: TimeZone::UTC,
            only: None,
        };
        let staff = files.load().expect("a good file");
        let mut desk = Desk::new(files, staff);
        let mut calls = desk.sender.subscribe();
        let mut after = |desk: &mut Desk, told: bool| {
            desk.look(told);
            let changed = calls.has_changed().expect("the desk is there");
            (changed, calls.borrow_and_update().agents.default().greeting.clone())
        };
        assert_eq!(after(&mut desk, false), (false, "One.".to_owned()));
        write(dir.path(), "\"Two, which is longer.\"");
        assert_eq!(after(&mut desk, false), (true, "Two, which is longer.".to_owned()));
        write(dir.path(), "\"Three");
        assert_eq!(after(&mut desk, false), (false, "Two, which is longer.".to_owned()));
        assert_eq!(after(&mut desk, true), (false, "Two, which is longer.".to_owned()));
        std::fs::remove_file(dir.path().join("desk.toml")).expect("removed");
        assert_eq!(after(&mut desk, false), (false, "Two, which is longer.".to_owned()));
        write(dir.path(), "\"Four.\"");
        assert_eq!(after(&mut desk, false), (true, "Four.".to_owned()));
        assert_eq!(after(&mut desk, true), (true, "Four.".to_owned()), "told by SIGHUP");
    }
}
