//! The agents' files while the server runs: a change is for new calls, and a broken file changes nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::{engines, operator};
use crate::dialog::agent::{Agent, Agents};
use crate::dialog::conversation::{Staff, StaffError};
use crate::dialog::tool::sms::Texts;
use crate::engine::Engine;
use crate::privacy::egress::Egress;
use crate::store::{AuditEvent, Store};

/// Where agents come from.
pub(super) struct Files {
    pub(super) dir: PathBuf,
    pub(super) default: String,
    pub(super) store: Option<Store>,
    pub(super) texts: Option<Texts>,
    pub(super) egress: Egress,
    /// Who answers instead of those in files.
    pub(super) only: Option<Agent>,
}

impl Files {
    /// The files as they are. To be taken before they are read: what changes meanwhile is seen then.
    pub(super) fn stamps(&self) -> Stamps {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let files = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "toml"));
        let stamp = |entry: &std::fs::DirEntry| {
            let file = entry.metadata().ok()?;
            Some((file.modified().ok()?, file.len()))
        };
        files.map(|entry| (entry.path(), stamp(&entry))).collect()
    }

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
        Ok(staff.texting(self.texts.clone()))
    }
}

/// The agents from here on, read again on SIGHUP and when a file changes. `seen` is from before `staff` was loaded.
pub(super) fn watch(files: Files, seen: Stamps, staff: Staff, engine: Arc<Engine>) -> watch::Receiver<Arc<Staff>> {
    let mut desk = Desk {
        files,
        seen,
        engine,
        sender: watch::Sender::new(Arc::new(staff)),
    };
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
            if let Some(outcome) = desk.look(told).await {
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
    engine: Arc<Engine>,
    sender: watch::Sender<Arc<Staff>>,
}

impl Desk {
    /// Reads the files if they changed, or if told to; what came of it, in a word. Agents answer when what they always say has been
    /// made; while it cannot be, it is tried again.
    async fn look(&mut self, told: bool) -> Option<&'static str> {
        let now = self.files.stamps();
        if !told && now == self.seen {
            return None;
        }
        match self.files.load() {
            Ok(staff) => {
                if let Err(error) = engines::keep_fixed(&self.engine, &staff.agents).await {
                    tracing::warn!(%error, "the agents stay as they were until the new ones' phrases can be spoken: {error}");
                    return None;
                }
                self.seen = now;
                self.sender.send_replace(Arc::new(staff));
                tracing::info!("the agents were read again; new calls have them");
                Some("changed")
            }
            Err(error) => {
                self.seen = now;
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
pub(super) type Stamps = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::engine::{Sizes, Urgency};
    use crate::speech::spoken::spoken_in;
    use crate::speech::{Cancelled, Heard, Speech, SpeechError, Synthesizer, Transcriber};
    use crate::time::SampleRate;

    struct Deaf;

    impl Transcriber for Deaf {
        fn transcribe(&mut self, _: &[f32], _: Cancelled<'_>) -> Result<Heard, SpeechError> {
            Err(SpeechError::Cancelled)
        }
    }

    /// A voice that may fail.
    #[derive(Clone, Default)]
    struct Mouth {
        fails: Arc<AtomicBool>,
    }

    impl Synthesizer for Mouth {
        fn synthesize(&mut self, _: &str, _: Cancelled<'_>) -> Result<Speech, SpeechError> {
            if self.fails.load(Ordering::Relaxed) {
                return Err(SpeechError::Cancelled);
            }
            Ok(Speech {
                samples: vec![0.1; 800],
                rate: SampleRate::LINE,
                words: Vec::new(),
            })
        }
    }

    impl Mouth {
        fn engine(&self) -> Arc<Engine> {
            let sizes = Sizes {
                stt_workers: 1,
                tts_workers: 1,
                queue: 8,
            };
            let mouth = self.clone();
            let voice = move || Ok(Box::new(mouth.clone()) as Box<dyn Synthesizer>);
            let ear = || Ok(Box::new(Deaf) as Box<dyn Transcriber>);
            Arc::new(Engine::start(sizes, Box::new(ear), Box::new(voice)).expect("it starts"))
        }
    }

    fn files(dir: &Path, store: Option<Store>) -> Files {
        Files {
            dir: dir.to_owned(),
            default: "desk".to_owned(),
            store,
            texts: None,
            egress: Egress::default(),
            only: None,
        }
    }

    fn desk(files: Files, mouth: &Mouth) -> Desk {
        let seen = files.stamps();
        let staff = files.load().expect("a good file");
        Desk {
            files,
            seen,
            engine: mouth.engine(),
            sender: watch::Sender::new(Arc::new(staff)),
        }
    }

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
        let mut desk = desk(files(dir.path(), Some(store.clone())), &Mouth::default());
        for greeting in ["\"Two, which is longer.\"", "\"Three"] {
            write(dir.path(), greeting);
            let outcome = desk.look(false).await.expect("a change");
            desk.note(outcome).await;
        }
        assert_eq!(desk.look(false).await, None);
        let mut events = store.audit_events(10).await.expect("listed");
        events.retain(|event| event.action == "agents");
        let outcomes: Vec<&str> = events.iter().map(|event| event.outcome.as_str()).collect();
        assert_eq!(outcomes, ["refused", "changed"]);
    }

    #[tokio::test]
    async fn a_changed_file_is_for_new_calls_and_a_broken_one_changes_nothing() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        write(dir.path(), "\"One.\"");
        let mut desk = desk(files(dir.path(), None), &Mouth::default());
        let mut calls = desk.sender.subscribe();
        let mut after = async |desk: &mut Desk, told: bool| {
            desk.look(told).await;
            let changed = calls.has_changed().expect("the desk is there");
            (changed, calls.borrow_and_update().agents.default().greeting.clone())
        };
        assert_eq!(after(&mut desk, false).await, (false, "One.".to_owned()));
        write(dir.path(), "\"Two, which is longer.\"");
        assert_eq!(
            after(&mut desk, false).await,
            (true, "Two, which is longer.".to_owned())
        );
        write(dir.path(), "\"Three");
        assert_eq!(
            after(&mut desk, false).await,
            (false, "Two, which is longer.".to_owned())
        );
        assert_eq!(
            after(&mut desk, true).await,
            (false, "Two, which is longer.".to_owned())
        );
        std::fs::remove_file(dir.path().join("desk.toml")).expect("removed");
        assert_eq!(
            after(&mut desk, false).await,
            (false, "Two, which is longer.".to_owned())
        );
        write(dir.path(), "\"Four.\"");
        assert_eq!(after(&mut desk, false).await, (true, "Four.".to_owned()));
        assert_eq!(
            after(&mut desk, true).await,
            (true, "Four.".to_owned()),
            "told by SIGHUP"
        );
    }

    #[tokio::test]
    async fn a_file_that_changes_while_the_server_starts_is_read_again() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        write(dir.path(), "\"One.\"");
        let files = files(dir.path(), None);
        let (seen, staff) = (files.stamps(), files.load().expect("a good file"));
        // The models are loaded meanwhile.
        write(dir.path(), "\"Two, which is longer.\"");
        let mut changed = watch(files, seen, staff, Mouth::default().engine());
        tokio::time::timeout(LOOK * 5, changed.changed())
            .await
            .expect("it is read again")
            .expect("the desk is there");
        assert_eq!(changed.borrow().agents.default().greeting, "Two, which is longer.");
    }

    #[tokio::test]
    async fn new_agents_answer_when_what_they_always_say_has_been_made() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        write(dir.path(), "\"One.\"");
        let mouth = Mouth::default();
        let mut desk = desk(files(dir.path(), None), &mouth);
        write(dir.path(), "\"Two, which is longer.\"");
        mouth.fails.store(true, Ordering::Relaxed);
        for told in [false, true] {
            assert_eq!(desk.look(told).await, None, "it has no voice");
        }
        assert_eq!(desk.sender.borrow().agents.default().greeting, "One.");
        mouth.fails.store(false, Ordering::Relaxed);
        assert_eq!(desk.look(false).await, Some("changed"), "it is tried again");
        // The voice fails when the new agent answers.
        mouth.fails.store(true, Ordering::Relaxed);
        let staff = Arc::clone(&desk.sender.borrow());
        let agent = staff.agents.default();
        for text in agent.fixed_texts().filter(|text| !text.is_empty()) {
            let language = agent.language.code();
            let text = spoken_in(text, language);
            let audio = desk.engine.synthesize(text, language, LOOK, Urgency::now()).await;
            assert!(audio.is_ok());
        }
    }
}
