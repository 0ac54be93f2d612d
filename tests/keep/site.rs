//! A database full of what is private, with the files beside it, and somebody at the command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;
use tempfile::TempDir;
use tieline::audio::mulaw;
use tieline::call::recording::{Recordings, Tap};
use tieline::call::voicemail::Mailbox;
use tieline::config::{Config, Strings};
use tieline::retention::Keeper;
use tieline::store::{AuditRecord, Consent, Recording, RecordingState, Store, Who};
use tokio::sync::watch;

use crate::fresh::{Fresh, KEK};
use crate::private::fill;

pub(crate) struct Site {
    pub(crate) fresh: Fresh,
    pub(crate) store: Store,
    dir: TempDir,
    /// The recordings' ids, by call.
    recordings: BTreeMap<&'static str, String>,
    /// The number of the customer.
    pub(crate) customer: String,
}

/// What a command has come to.
pub(crate) struct Said {
    pub(crate) good: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// What it said, all having gone well.
    pub(crate) fn ok(self) -> String {
        assert!(self.good, "{}{}", self.out, self.err);
        self.out
    }

    /// What it said was wrong.
    pub(crate) fn refused(self) -> String {
        assert!(!self.good, "{}", self.out);
        self.err
    }
}

impl Site {
    /// Two calls with a recording each, two messages with audio, and whatever [`fill`] makes.
    pub(crate) async fn new(fresh: Fresh) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = fresh.open().await;
        let customer = fill(&store).await;
        let mut site = Self {
            fresh,
            store,
            dir,
            recordings: BTreeMap::new(),
            customer,
        };
        std::fs::create_dir_all(site.data().join("voicemail")).expect("a directory");
        for id in ["a1", "b2"] {
            let plain = site.data().join(format!("voicemail/{id}.wav"));
            std::fs::write(plain, format!("RIFF marzipan {id}")).expect("written");
        }
        let mailbox = Mailbox::new(site.data().join("voicemail"), site.store.clone());
        mailbox.seal_plain_files().await.expect("sealed");
        for sid in ["CA1", "CA2"] {
            let part = site.record(sid).await;
            site.recordings.insert(sid, part.id);
        }
        site
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn recording(&self, sid: &str) -> PathBuf {
        self.data().join("recordings").join(self.recording_file(sid))
    }

    /// The name of its file.
    pub(crate) fn recording_file(&self, sid: &str) -> String {
        format!("{}.rec.sealed", self.recordings[sid])
    }

    /// The id of its first part.
    pub(crate) fn part(&self, sid: &str) -> &str {
        &self.recordings[sid]
    }

    pub(crate) fn recordings(&self) -> Recordings {
        Recordings::new(self.data().join("recordings"), self.store.clone())
    }

    /// Records another part of a call: a second and a half of [`CALLER`], the last half second but one paused.
    pub(crate) async fn record(&self, sid: &str) -> Recording {
        let mut tap = self.begin_recording(sid, "told");
        let mut clock = now();
        speak(&mut tap, &mut clock, 25);
        assert!(tap.operator(true), "it is recorded");
        speak(&mut tap, &mut clock, 25);
        tap.operator(false);
        speak(&mut tap, &mut clock, 25);
        tap.end().await;
        let part = self.store.recordings_of(sid).await.expect("readable").pop();
        let part = part.expect("a part");
        assert_eq!(part.state, RecordingState::Whole);
        part
    }

    /// As a call does when its caller was told.
    pub(crate) fn begin_recording(&self, sid: &str, answer: &str) -> Tap {
        let consent = Consent {
            asked: "notice".to_owned(),
            notice: "This call is recorded, bumblebee.".to_owned(),
            answer: answer.to_owned(),
            by: String::new(),
            at: "2026-11-21T20:00:00Z".parse().expect("a time"),
        };
        self.recordings().begin(sid, consent, watch::channel(true).1)
    }

    pub(crate) fn voicemail(&self, id: &str) -> PathBuf {
        self.data().join(format!("voicemail/{id}.wav.sealed"))
    }

    pub(crate) fn command(&self, args: &[&str], settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tieline"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("DATABASE_URL", &self.fresh.url)
            .env("KEK", KEK)
            .env("DATA_DIR", self.data())
            .envs(settings.iter().copied());
        command
    }

    pub(crate) fn tieline_with(&self, args: &[&str], settings: &[(&str, &str)]) -> Said {
        let output = self.command(args, settings).output().expect("the program starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said {
            good: output.status.success(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    pub(crate) fn tieline(&self, args: &[&str]) -> Said {
        self.tieline_with(args, &[])
    }

    /// With these settings.
    pub(crate) fn keeper(&self, settings: &[(&str, &str)]) -> Keeper {
        let data = self.data();
        let mut all: Vec<(&str, &str)> = vec![("DATA_DIR", data.to_str().expect("UTF-8"))];
        all.extend(settings);
        let strings: Strings = all.into_iter().collect();
        let config = Config::parse(&strings).expect("good");
        Keeper::new(self.store.clone(), &config.server, config.retention)
    }

    /// Makes a record so many days older.
    pub(crate) async fn age(&self, table: &str, column: &str, id: &str, days: i64) {
        let at = if table == "calls" {
            "started_at_ms"
        } else {
            "created_at_ms"
        };
        let statement = format!(
            "UPDATE {table} SET {at} = {at} - {} WHERE {column} = $1",
            days * 86_400_000
        );
        let done = sqlx::query(AssertSqlSafe(statement))
            .bind(id)
            .execute(&self.fresh.raw().await)
            .await
            .expect("written");
        assert_eq!(done.rows_affected(), 1);
    }

    pub(crate) async fn run(&self, statement: &'static str) {
        sqlx::query(statement)
            .execute(&self.fresh.raw().await)
            .await
            .expect(statement);
    }

    /// The event that a record was deleted.
    pub(crate) async fn proof(&self, subject: &str) -> Option<AuditRecord> {
        let events = self.store.audit_of(subject).await.expect("listed");
        events.into_iter().find(|event| event.outcome == "deleted")
    }

    /// Nothing is altered or missing.
    pub(crate) async fn is_whole(&self) {
        assert_eq!(
            self.store.verify().await.expect("readable").faults,
            Vec::<String>::new()
        );
        let mailbox = Mailbox::new(self.data().join("voicemail"), self.store.clone());
        assert_eq!(mailbox.verify().await.expect("readable"), Vec::<String>::new());
        assert_eq!(
            self.recordings().verify().await.expect("readable"),
            Vec::<String>::new()
        );
    }
}

/// So many frames of 20 ms of the caller.
pub(crate) fn speak(tap: &mut Tap, clock: &mut Instant, frames: u32) {
    for _ in 0..frames {
        *clock += Duration::from_millis(20);
        tap.caller(&[mulaw::decode(CALLER); 160], false, *clock);
    }
}

#[expect(clippy::disallowed_methods, reason = "somebody must begin to count")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// What callers sound like.
pub(crate) const CALLER: u8 = 0xDC;

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Who asks for what the tests do.
pub(crate) const TEST: Who<'static> = Who {
    actor: "test",
    origin: "a test",
};
