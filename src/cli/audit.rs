//! `tieline data audit`: the audit trail, and whether it is whole.

use clap::Subcommand;

use super::keeping::say;
use super::operator::Operator;
use crate::privacy::chain::NoAnchor;
use crate::store::{Anchor, AuditFilter, AuditRecord, AuditVerified, Store};

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Follows the trail and names what was edited, removed, moved or put in; exit code 1 if anything was
    Verify {
        /// Where it ended at some time, as `tieline data audit head` has printed it and you have kept it elsewhere
        #[arg(long, value_name = "SEQ:HASH", value_parser = anchor)]
        anchor: Option<Anchor>,
    },
    /// Has the trail go on after its mark was altered or lost, and writes that down: only when you know what has happened
    Mend,
    /// Prints where the trail ends, SEQ:HASH, to be kept elsewhere
    Head,
    /// Prints events, the newest first, as lines of JSON
    List {
        /// How many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// Of this action, such as `api-read`
        #[arg(long)]
        action: Option<String>,
        /// Of this subject, such as a call's id
        #[arg(long)]
        subject: Option<String>,
        /// With this outcome, such as `refused`
        #[arg(long)]
        outcome: Option<String>,
        /// Before the event of this number
        #[arg(long)]
        before: Option<i64>,
    },
}

/// Whether all is whole.
pub(super) async fn run(command: AuditCommand, store: &Store, operator: &Operator) -> anyhow::Result<bool> {
    match command {
        AuditCommand::Verify { anchor } => {
            let found = store.verify_audit(anchor.as_ref()).await?;
            say(&told(&found))?;
            return Ok(found.faults.is_empty());
        }
        AuditCommand::Head => say(&format!("{}\n", store.audit_head().await?))?,
        AuditCommand::Mend => {
            let event = operator.event("", "", "", "");
            let text = match store.mend_audit(event.actor, event.origin).await? {
                Some(head) => {
                    format!("the audit trail goes on, and ends at {head}; keep this, and look at it with verify\n")
                }
                None => "the audit trail needs no mending\n".to_owned(),
            };
            say(&text)?;
        }
        AuditCommand::List {
            limit,
            action,
            subject,
            outcome,
            before,
        } => {
            let filter = AuditFilter {
                action: action.unwrap_or_default(),
                subject: subject.unwrap_or_default(),
                outcome: outcome.unwrap_or_default(),
                before,
            };
            store
                .audit(&operator.event("data-read", "", "allowed", "audit trail"))
                .await?;
            for record in store.audit_page(&filter, limit).await? {
                say(&line(&record))?;
            }
        }
    }
    Ok(true)
}

/// The faults, each on a line, and how much was looked at.
pub(super) fn told(found: &AuditVerified) -> String {
    let mut text: String = found.faults.iter().map(|fault| format!("{fault}\n")).collect();
    let (events, faults) = (found.events, found.faults.len());
    text.push_str(&format!("audit trail: {events} events, {faults} faults"));
    if let Some(purged) = &found.purged {
        text.push_str(&format!(", purged through {}", purged.seq));
    }
    if let Some(head) = &found.head {
        text.push_str(&format!(", ends at {head}"));
    }
    text.push('\n');
    text
}

fn line(record: &AuditRecord) -> String {
    let json = serde_json::json!({
        "seq": record.seq,
        "at": record.at,
        "actor": record.actor,
        "action": record.action,
        "subject": record.subject,
        "outcome": record.outcome,
        "detail": record.detail,
        "origin": record.origin,
        "mac": record.mac,
    });
    format!("{json}\n")
}

fn anchor(text: &str) -> Result<Anchor, String> {
    text.parse().map_err(|error: NoAnchor| error.to_string())
}
