//! How long records live: the purge of what is old, requests of those whom records are about, backups.
//!
//! Whatever is deleted loses its key (`store::retire`), its files, and what it was found by, and is written down in the audit trail. The ids of
//! deleted keys go to a list outside of the database, too, by which [`restore`] does without them.

pub mod backup;
mod export;
mod purge;
pub mod restore;
mod unpack;

use std::io;
use std::path::{Path, PathBuf};

use crate::call::recording::{self, RecordingError, Recordings};
use crate::call::voicemail::{Mailbox, MailboxError};
use crate::config::{Retention, Server};
use crate::privacy::shredlist::{ShredList, ShredListError};
use crate::store::{Because, Belongings, Item, Retired, Store, StoreError, Who};

pub use export::Exported;
pub use purge::{Due, Purge, Purged};

/// Deletes what is to be deleted, and gives out what is asked for.
#[derive(Debug, Clone)]
pub struct Keeper {
    store: Store,
    mailbox: Mailbox,
    recordings: Recordings,
    rules: Retention,
    list: ShredList,
}

/// Why something was not done, or not to its end. Run it again: it goes on.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// The database fails, or a record is not good.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A message's file fails.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    /// A recording's file fails.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The list of deleted keys fails. What was deleted is deleted, and is put on the list the next time.
    #[error(transparent)]
    List(#[from] ShredListError),
    /// Another file fails.
    #[error("{} cannot be used: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something of it is on hold, so nothing was deleted.
    #[error(
        "nothing was deleted, as {count} of it, such as {record}, is on hold since {since}: see `tieline data hold list`"
    )]
    OnHold {
        /// The first of it, as in the audit trail.
        record: String,
        /// Since when.
        since: jiff::Timestamp,
        /// How much.
        count: usize,
    },
}

/// What was deleted of a person.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// Records whose key is gone now.
    pub records: u64,
    /// Records that were put on hold meanwhile, and stay.
    pub held: u64,
    /// Keys that are new on the list.
    pub listed: usize,
}

impl Keeper {
    /// For the records of a database, and the files beside it.
    pub fn new(store: Store, server: &Server, rules: Retention) -> Self {
        Self {
            mailbox: Mailbox::new(server.data_dir.join(VOICEMAIL), store.clone()),
            recordings: Recordings::new(server.recordings_dir.clone(), store.clone()),
            list: ShredList::new(&rules.shred_list),
            store,
            rules,
        }
    }

    /// Deletes what there is of a person; nothing if any of it is on hold.
    pub async fn delete(&self, found: &Belongings, who: Who<'_>) -> Result<Deleted, RetentionError> {
        let held = self.store.on_hold(&found.items).await?;
        if let Some((item, since)) = held.first() {
            return Err(RetentionError::OnHold {
                record: item.key(),
                since: *since,
                count: held.len(),
            });
        }
        let because = Because {
            who,
            action: "delete",
            detail: &format!("at the request of {}", found.reference),
        };
        let mut deleted = Deleted::default();
        for items in found.items.chunks(BATCH) {
            let removed = self.remove(items, because).await?;
            deleted.records += removed.gone;
            deleted.held += removed.held;
        }
        self.store.forget_answers().await?;
        deleted.listed = self.bring_list_up_to_date().await?;
        self.store.forget_deleted().await?;
        Ok(deleted)
    }

    /// Puts the keys that were deleted here, or by other servers of the database, on this machine's list; how many were new on it.
    pub async fn bring_list_up_to_date(&self) -> Result<usize, RetentionError> {
        let dead = self.store.dead_keys().await?;
        Ok(self.list.add(&dead, &|line| self.store.sign_dead(line))?)
    }

    /// Deletes some records and their files.
    async fn remove(&self, items: &[Item], because: Because<'_>) -> Result<Purged, RetentionError> {
        let mut all = Vec::with_capacity(items.len());
        let mut files = Vec::with_capacity(items.len());
        for item in items {
            // Found before the rows go that name them.
            let audio = match item {
                Item::Content(sid) | Item::Call(sid) | Item::Recording(sid) => self.recordings.files(sid).await?,
                Item::Voicemail(_) | Item::Order(_) | Item::Customer(_) | Item::Patient(_) => Vec::new(),
            };
            // A recording is a proof of its own, and goes before the key that opens it.
            if let Item::Content(sid) | Item::Call(sid) = item
                && !audio.is_empty()
            {
                all.push((Item::Recording(sid.clone()), false));
                files.push(Vec::new());
            }
            all.push((item.clone(), true));
            files.push(audio);
        }
        let (all, asked): (Vec<Item>, Vec<bool>) = all.into_iter().unzip();
        let retired = self.store.retire(&all, because).await?;
        let mut removed = Purged::default();
        for (((item, asked), retired), audio) in all.iter().zip(asked).zip(retired).zip(files) {
            match retired {
                Retired::OnHold(_) => {
                    removed.held += u64::from(asked);
                    continue;
                }
                Retired::Gone => removed.gone += u64::from(asked),
                Retired::NotThere => {}
            }
            recording::remove(audio).await.map_err(RecordingError::from)?;
            if let Item::Voicemail(id) = item {
                self.remove_message(id).await?;
            }
        }
        Ok(removed)
    }

    /// The file first: the row says that there is one.
    async fn remove_message(&self, id: &str) -> Result<(), RetentionError> {
        self.mailbox.remove(id).await?;
        Ok(self.store.forget_voicemail(id).await?)
    }
}

/// Makes a file for its owner's eyes only; it must not be there.
fn private_file(path: &Path) -> io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The same of a directory and those above it.
fn private_directory(path: &Path) -> io::Result<()> {
    let mut directory = std::fs::DirBuilder::new();
    directory.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut directory, 0o700);
    directory.create(path)
}

/// Where messages are in `DATA_DIR`, and what backups call it.
const VOICEMAIL: &str = "voicemail";
/// What backups call `RECORDINGS_DIR`.
const RECORDINGS: &str = "recordings";
/// Records deleted in one transaction: calls wait for SQLite's one writer no longer than for some turns.
const BATCH: usize = 25;
