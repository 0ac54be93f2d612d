//! Deletes what is older than its class is kept: at start, once a day, and on demand.
//!
//! Of several servers on one database one does it at a time. It goes in small transactions, each of which says in the audit trail what it has
//! deleted, so that whoever is killed in the middle has done a part of it, and the next one does the rest.

use std::time::Duration;

use jiff::Timestamp;

use super::{BATCH, Keeper, RetentionError};
use crate::config::Keep;
use crate::store::{Because, Class, Item, Record, Who};

/// What became of a class.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Purged {
    /// Records that are gone now.
    pub gone: u64,
    /// Records that are old enough and on hold.
    pub held: u64,
}

/// What is old enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Of which class.
    pub class: Class,
    /// How long it is kept.
    pub keep: Keep,
    /// How many records would be deleted.
    pub due: u64,
    /// How many would be, were they not on hold.
    pub held: u64,
}

/// What a purge has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purge {
    /// By class, in the order of [`Class::ALL`].
    Done(Vec<(Class, Purged)>),
    /// Nothing: another server is at it, and has until then to say that it still is.
    Busy(Timestamp),
}

impl Keeper {
    /// What a purge would do.
    pub async fn due(&self) -> Result<Vec<Due>, RetentionError> {
        self.store.link_old_calls().await?;
        let mut all = Vec::new();
        for class in Class::ALL {
            let keep = self.keep(class);
            let (mut due, mut held) = (0, 0);
            if let Some(before) = self.before(class).await? {
                (due, held) = self.store.count_due(class, before).await?;
                due -= held;
            }
            all.push(Due { class, keep, due, held });
        }
        Ok(all)
    }

    /// Deletes what is old enough. `told` hears of each part that is done.
    pub async fn purge(
        &self,
        who: Who<'_>,
        told: &mut (dyn FnMut(Class, u64) + Send),
    ) -> Result<Purge, RetentionError> {
        // Holds of patients and customers go by it.
        self.store.link_old_calls().await?;
        let holder = format!("{:016x}", rand::random::<u64>());
        if let Some(until) = self.store.take_lease(LEASE, &holder).await? {
            return Ok(Purge::Busy(until));
        }
        let done = self.purge_all(who, &holder, told).await;
        self.store.end_lease(LEASE, &holder).await?;
        done.map(Purge::Done)
    }

    /// In a server: at once, and then once a day, or an hour after another server was found to be at it.
    pub async fn run(self) {
        let mut hours = tokio::time::interval(HOUR);
        hours.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut wait = 0;
        loop {
            hours.tick().await;
            if wait > 0 {
                wait -= 1;
                continue;
            }
            match self.purge(SERVER, &mut |_, _| {}).await {
                Ok(Purge::Busy(_)) => {}
                Ok(Purge::Done(classes)) => {
                    wait = HOURS_BETWEEN;
                    let gone: u64 = classes.iter().map(|(_, purged)| purged.gone).sum();
                    if gone > 0 {
                        tracing::info!(records = gone, "deleted {gone} records that were kept long enough");
                    }
                    if let Err(error) = self.purge_audit().await {
                        tracing::error!(%error, "the audit trail is not purged, and tried again in a day: {error}");
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "old records are not all deleted, and tried again in an hour: {error}");
                }
            }
        }
    }

    /// Deletes what is older than `RETAIN_AUDIT` from the audit trail; how many events.
    pub async fn purge_audit(&self) -> Result<u64, RetentionError> {
        let Some(keep) = self.rules.audit.milliseconds() else {
            return Ok(0);
        };
        let keep = Duration::from_millis(u64::try_from(keep).unwrap_or(u64::MAX));
        let purged = self.store.purge_audit(keep).await?;
        Ok(purged.map_or(0, |purged| purged.events))
    }

    async fn purge_all(
        &self,
        who: Who<'_>,
        holder: &str,
        told: &mut (dyn FnMut(Class, u64) + Send),
    ) -> Result<Vec<(Class, Purged)>, RetentionError> {
        let mut classes = Vec::new();
        self.sweep().await?;
        for class in Class::ALL {
            let mut purged = Purged::default();
            if let Some(before) = self.before(class).await? {
                purged.held = self.store.count_due(class, before).await?.1;
                let keep = self.keep(class);
                let detail = format!("{}, kept for {keep}", class.name());
                let because = Because {
                    who,
                    action: "purge",
                    detail: &detail,
                };
                self.purge_class(class, before, because, holder, &mut purged, told)
                    .await?;
                if class == Class::Calls {
                    self.store.remove_loose_ends(before).await?;
                }
            }
            classes.push((class, purged));
        }
        // First, as it is quick: a backup may be restored at any time.
        self.bring_list_up_to_date().await?;
        self.store.forget_deleted().await?;
        Ok(classes)
    }

    async fn purge_class(
        &self,
        class: Class,
        before: Timestamp,
        because: Because<'_>,
        holder: &str,
        purged: &mut Purged,
        told: &mut (dyn FnMut(Class, u64) + Send),
    ) -> Result<(), RetentionError> {
        let mut after = String::new();
        loop {
            let due = self.store.due(class, before, &after, BATCH as u32).await?;
            let Some(last) = due.last() else { return Ok(()) };
            after.clone_from(last);
            let item = |id: &String| match class {
                Class::Recordings => Item::Recording(id.clone()),
                Class::Transcripts => Item::Content(id.clone()),
                Class::Calls => Item::Call(id.clone()),
                Class::Voicemails => Item::Voicemail(id.clone()),
            };
            let items: Vec<Item> = due.iter().map(item).collect();
            let removed = self.remove(&items, because).await?;
            purged.gone += removed.gone;
            told(class, removed.gone);
            // Still here. Whoever has waited for the database comes first.
            if self.store.take_lease(LEASE, holder).await?.is_some() {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }

    /// Removes files that nobody can read any more: of records that another server has deleted, or one that was killed then.
    async fn sweep(&self) -> Result<(), RetentionError> {
        for id in self.store.deleted_voicemails().await? {
            self.remove_message(&id).await?;
        }
        for id in self.mailbox.ids().await? {
            if self.store.deleted_at(Record::Voicemail(&id)).await?.is_some() {
                self.mailbox.remove(&id).await?;
            }
        }
        self.recordings.sweep().await?;
        Ok(())
    }

    fn keep(&self, class: Class) -> Keep {
        match class {
            Class::Recordings => self.rules.recordings,
            Class::Transcripts => self.rules.transcripts,
            Class::Calls => self.rules.calls,
            Class::Voicemails => self.rules.voicemails,
        }
    }

    /// What began before then is old enough.
    async fn before(&self, class: Class) -> Result<Option<Timestamp>, RetentionError> {
        let Some(keep) = self.keep(class).milliseconds() else {
            return Ok(None);
        };
        let now = self.store.now().await?.as_millisecond();
        Ok(Timestamp::from_millisecond(now - keep).ok())
    }
}

const LEASE: &str = "purge";
/// Who deletes what is old, as the audit trail names it.
const SERVER: Who<'static> = Who {
    actor: "retention",
    origin: "",
};
const HOUR: Duration = Duration::from_secs(3_600);
/// The tick that ends a day is one more.
const HOURS_BETWEEN: u32 = 23;
