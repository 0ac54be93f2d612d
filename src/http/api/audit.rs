//! Who saw and did what, for the audit table. A read that cannot be written down is not answered.

use super::access::Principal;
use super::problem::Problem;
use crate::store::Store;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Read,
    Create,
    Change,
    HangUp,
    Transfer,
    Say,
    PlaceCall,
    Watch,
    RevokeKey,
}

impl Act {
    /// Lower-case name for records.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Change => "change",
            Self::HangUp => "hang-up",
            Self::Transfer => "transfer",
            Self::Say => "say",
            Self::PlaceCall => "place-call",
            Self::Watch => "watch",
            Self::RevokeKey => "revoke-key",
        }
    }
}
