//! Follows the audit trail from its beginning, or from its checkpoint, to its end, and names what was edited, removed, moved or put in.

use super::chain::{CHECKPOINT, HEAD, Mark};
use super::{Anchor, Row};
use crate::privacy::chain::same;
use crate::store::error::cannot;
use crate::store::{Store, StoreError};

/// What was found of the audit trail.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct AuditVerified {
    /// Events that were looked at.
    pub events: u64,
    /// Through where events were purged, if any were.
    pub purged: Option<Anchor>,
    /// Where the trail ends, if that is known.
    pub head: Option<Anchor>,
    /// What is wrong with it, in order; no part of what was written.
    pub faults: Vec<String>,
}

/// How far the trail was followed.
struct Trail<'a> {
    anchor: Option<&'a Anchor>,
    /// The event before, if there should be one just before the next; its MAC, if it is authentic.
    last: i64,
    mac: Option<String>,
    found: AuditVerified,
}

impl Store {
    /// Looks through the whole trail while events are added; `anchor` is where it ended at some time, as it was kept elsewhere.
    pub async fn verify_audit(&self, anchor: Option<&Anchor>) -> Result<AuditVerified, StoreError> {
        loop {
            let purged = self.mark(CHECKPOINT).await?;
            let found = self.follow(purged.clone(), anchor).await?;
            // While it was followed, events may have been purged. Nobody purges all the time.
            if self.mark(CHECKPOINT).await? == purged {
                return Ok(found);
            }
        }
    }

    async fn follow(&self, purged: Option<Mark>, anchor: Option<&Anchor>) -> Result<AuditVerified, StoreError> {
        let mut trail = Trail::new(anchor);
        if purged.is_some() {
            trail.begin_at(self.trusted(CHECKPOINT, purged));
        }
        let below: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_events WHERE seq <= $1")
            .bind(trail.last)
            .fetch_one(&self.pool)
            .await
            .map_err(cannot(WHAT))?;
        if below > 0 {
            let last = trail.last;
            trail.fault(format!(
                "{below} audit events are numbered {last} or lower, before the beginning of the trail"
            ));
        }
        // The events up to here must be there.
        let head = self.mark(HEAD).await?;
        let head = self.trusted(HEAD, head);
        loop {
            let rows: Vec<Row> = sqlx::query_as(PAGE)
                .bind(trail.last)
                .fetch_all(&self.pool)
                .await
                .map_err(cannot(WHAT))?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                trail.next(row, same(&row.9, &self.mac_of(row)));
            }
        }
        // And none behind here: each was added together with the head.
        let end = self.mark(HEAD).await?.map_or(0, |(seq, ..)| seq);
        Ok(trail.end(head, end))
    }
}

impl<'a> Trail<'a> {
    fn new(anchor: Option<&'a Anchor>) -> Self {
        let start = Anchor::start();
        Self {
            anchor,
            last: start.seq,
            mac: Some(start.mac),
            found: AuditVerified::default(),
        }
    }

    /// Where events were purged, the trail is followed from the last of them.
    fn begin_at(&mut self, purged: Result<Anchor, StoreError>) {
        match purged {
            Ok(purged) => {
                (self.last, self.mac) = (purged.seq, Some(purged.mac.clone()));
                self.found.purged = Some(purged);
            }
            // Then what is missing in front cannot be told from what was purged.
            Err(error) => self.fault(error.to_string()),
        }
    }

    fn next(&mut self, row: &Row, authentic: bool) {
        let (seq, previous, mac) = (row.0, &row.8, &row.9);
        if seq > self.last + 1 {
            self.missing(self.last + 1, seq - 1);
            self.mac = None;
        }
        if !authentic {
            self.fault(format!("audit event {seq} was altered, or put there by somebody else"));
        } else if self.mac.as_ref().is_some_and(|mac| !same(mac, previous)) {
            self.fault(format!(
                "audit event {seq} does not follow event {}: it belongs to another course of the trail",
                seq - 1
            ));
        }
        if self
            .anchor
            .is_some_and(|anchor| anchor.seq == seq && !same(&anchor.mac, mac))
        {
            self.fault(format!("audit event {seq} is not the one that was anchored"));
        }
        self.last = seq;
        self.mac = authentic.then(|| mac.clone());
        self.found.events += 1;
    }

    /// `head`: the end as it was marked before the events were read; `end`: its number after that.
    fn end(mut self, head: Result<Anchor, StoreError>, end: i64) -> AuditVerified {
        match head {
            Ok(head) => {
                if self.last < head.seq {
                    self.missing(self.last + 1, head.seq);
                } else if self.last == head.seq && self.mac.as_ref().is_some_and(|mac| !same(mac, &head.mac)) {
                    self.fault(format!(
                        "audit event {} is not the one that was written last",
                        self.last
                    ));
                }
                self.found.head = Some(head);
            }
            Err(error) => self.fault(error.to_string()),
        }
        if self.last > end {
            let (first, last) = (end + 1, self.last);
            self.fault(format!(
                "audit events {first} to {last} are behind the end of the trail"
            ));
        }
        self.check_anchor();
        self.found
    }

    fn check_anchor(&mut self) {
        let Some(anchor) = self.anchor else { return };
        let seq = anchor.seq;
        let purged = self.found.purged.clone().unwrap_or_else(Anchor::start);
        if seq < purged.seq {
            self.fault(format!(
                "the anchor cannot be checked: events were purged from {seq} through {} since; use a later one",
                purged.seq
            ));
        } else if seq == purged.seq && !same(&purged.mac, &anchor.mac) {
            self.fault(format!(
                "the trail through event {seq} is not the one that was anchored"
            ));
        } else if seq > self.last {
            self.fault(format!(
                "the trail ends at event {}, and it was anchored at {seq}: its end was cut off, or an older state was put back",
                self.last
            ));
        }
    }

    fn missing(&mut self, first: i64, last: i64) {
        if first == last {
            self.fault(format!("audit event {first} is missing"));
        } else {
            self.fault(format!("audit events {first} to {last} are missing"));
        }
    }

    fn fault(&mut self, fault: String) {
        self.found.faults.push(fault);
    }
}

const WHAT: &str = "look through the audit trail";
const PAGE: &str = "SELECT seq, at_ms, actor, action, subject, outcome, detail, origin, previous, mac FROM audit_events \
     WHERE seq > $1 ORDER BY seq LIMIT 500";
