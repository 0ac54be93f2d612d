//! Connections that the egress guard has refused, in the audit trail.

use tokio::sync::mpsc::Receiver;

use super::AuditEvent;
use crate::privacy::egress::{Purpose, Refused};
use crate::store::Store;

impl Store {
    /// Writes refusals down as they come, until the guard is gone.
    pub async fn audit_refusals(self, mut refusals: Receiver<(Purpose, Refused)>) {
        while let Some((purpose, refused)) = refusals.recv().await {
            // While the database itself cannot be reached, nothing can be written, and each attempt would be refused anew.
            if purpose == Purpose::Database {
                continue;
            }
            let event = AuditEvent {
                actor: "server",
                action: "egress",
                subject: purpose.name(),
                outcome: "refused",
                detail: &refused.to_string(),
                origin: "",
            };
            if let Err(error) = self.audit_within(&event, MOST).await {
                tracing::error!(%error, "a refused connection is not in the audit trail: {error}");
            }
        }
    }
}

/// Refusals that are written down in 24 hours. All are logged and counted.
const MOST: u32 = 1_000;
