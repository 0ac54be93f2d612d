//! Who saw and did what, for the audit table. A read that cannot be written down is not answered.

use super::access::Principal;
use super::problem::Problem;
use crate::store::{AuditEvent, Store};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Read,
    Create,
    Change,
    HangUp,
    Transfer,
    Say,
    Record,
    Watch,
    RevokeKey,
}

impl Act {
    /// Lower-case name for records.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Read => "api-read",
            Self::Create => "api-create",
            Self::Change => "api-change",
            Self::HangUp => "api-hang-up",
            Self::Transfer => "api-transfer",
            Self::Say => "api-say",
            Self::Record => "api-record",
            Self::Watch => "api-watch",
            Self::RevokeKey => "api-revoke-key",
        }
    }
}

/// Writes down what is about to be seen or done; without that, it is not.
pub(super) async fn note(
    store: &Store,
    principal: &Principal,
    act: Act,
    what: &str,
    id: Option<&str>,
) -> Result<(), Problem> {
    let actor = actor(principal);
    // Seen by the scope, or only for now.
    let by_glass = principal
        .key
        .glass
        .as_ref()
        .map(|glass| format!("{what}, break-glass {glass}"));
    let event = AuditEvent {
        actor: &actor,
        action: act.name(),
        subject: id.unwrap_or_default(),
        outcome: "allowed",
        detail: by_glass.as_deref().unwrap_or(what),
        origin: &principal.origin,
    };
    Ok(store.audit(&event).await?)
}

/// Writes down what was done already.
pub(super) async fn noted(store: &Store, principal: &Principal, act: Act, what: &str, id: &str) {
    if note(store, principal, act, what, Some(id)).await.is_err() {
        tracing::error!(
            action = act.name(),
            "an API request that was carried out is not in the audit trail"
        );
    }
}

/// The key, as the audit trail names it.
pub(super) fn actor(principal: &Principal) -> String {
    principal.key.actor()
}
