//! A database full of what is private, with the files beside it, and somebody at the command line.

use std::path::{Path, PathBuf};
use std::process::Command;

use sqlx::AssertSqlSafe;
use tempfile::TempDir;
use tieline::call::voicemail::Mailbox;
use tieline::config::{Config, Strings};
use tieline::privacy::chunks::ChunkWriter;
use tieline::retention::Keeper;
use tieline::store::{AuditRecord, Record, Store, Who};

use crate::fresh::{Fresh, KEK};
use crate::private::fill;

pub(crate) struct Site {
    pub(crate) fresh: Fresh,
    pub(crate) store: Store,
    dir: TempDir,
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
        let site = Self {
            fresh,
            store,
            dir,
            customer,
        };
        std::fs::create_dir_all(site.data().join("voicemail")).expect("a directory");
        std::fs::create_dir_all(site.data().join("recordings")).expect("a directory");
        for id in ["a1", "b2"] {
            let plain = site.data().join(format!("voicemail/{id}.wav"));
            std::fs::write(plain, format!("RIFF marzipan {id}")).expect("written");
        }
        let mailbox = Mailbox::new(site.data().join("voicemail"), site.store.clone());
        mailbox.seal_plain_files().await.expect("sealed");
        for sid in ["CA1", "CA2"] {
            let key = site.store.data_key(Record::Call(sid)).await.expect("readable");
            let mut writer = ChunkWriter::create(&site.recording(sid), &key.expect("a key"), sid).expect("made");
            writer
                .write(format!("RIFF bumblebee {sid}").as_bytes())
                .expect("written");
            writer.finish().expect("written");
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
        self.data().join(format!("recordings/{sid}.wav.sealed"))
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
        Keeper::new(self.store.clone(), &data, config.retention)
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
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Who asks for what the tests do.
pub(crate) const TEST: Who<'static> = Who {
    actor: "test",
    origin: "a test",
};
