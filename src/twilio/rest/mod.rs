//! The carrier's side that is asked, not answered: placing and changing calls, messages, recordings.
//!
//! [`Carrier`] is what the rest of the program sees; [`TwilioRest`] is Twilio's REST API.

mod client;
mod settings;

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use client::TwilioRest;
pub use settings::{RestSettings, api_url};

/// A call to be placed. PHI.
#[derive(Clone)]
pub struct NewCall {
    /// Whom to call, E.164.
    pub to: String,
    /// From which of our numbers, E.164.
    pub from: String,
    /// Where the carrier asks what to do once somebody has answered.
    pub url: String,
    /// Where it tells how the call goes.
    pub status_callback: String,
    /// Where it tells whether a person or a machine has answered; `None`: it does not listen for that.
    pub answered_by: Option<String>,
    /// How long the telephone rings.
    pub ring: Duration,
    /// After which the carrier ends the call.
    pub time_limit: Duration,
}

/// What is to become of a call.
#[derive(Clone, PartialEq, Eq)]
pub enum CallUpdate {
    /// It ends, also while it rings.
    HangUp,
    /// It goes on with this document, at most 4,000 characters.
    Twiml(String),
}

/// Why the carrier did not do as asked. Tells no number and no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarrierError {
    /// It said no.
    #[error("the carrier answered with status {status}, code {code}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Twilio's error code, 0 if it gave none.
        code: u32,
    },
    /// It is asked too much, and was still after several attempts.
    #[error("the carrier takes no more requests at the moment")]
    Busy,
    /// It could not be reached: nothing was done.
    #[error("the carrier cannot be reached")]
    Unreachable,
    /// The request was sent and there is no answer: nobody knows whether it was done.
    #[error("the carrier did not answer; the request may have been carried out")]
    Unanswered,
    /// Its answer is not what its documentation says.
    #[error("the carrier's answer cannot be read")]
    Unreadable,
    /// What it sends is too large.
    #[error("the carrier sends more than is taken")]
    TooLarge,
    /// What was asked could not be a request.
    #[error("not a request that the carrier could answer")]
    Malformed,
}

impl CarrierError {
    /// Whether the request may have been carried out although it failed. What is known of it is then kept, and it is not made again.
    pub fn may_be_done(&self) -> bool {
        match self {
            Self::Unanswered | Self::Unreadable | Self::TooLarge => true,
            Self::Refused { status, .. } => *status >= 500,
            Self::Busy | Self::Unreachable | Self::Malformed => false,
        }
    }
}

/// A telephone company's API.
pub trait Carrier: Send + Sync {
    /// Places a call and returns its sid. Never placed twice: where it is unknown whether a request was carried out, the
    /// carrier's list of calls is looked at.
    fn create_call(&self, call: NewCall) -> BoxFuture<'_, Result<String, CarrierError>>;

    /// Changes a call. One that has ended already is as good as changed. A document is sent once: where it is unknown whether the call goes on
    /// with it, the call itself tells.
    fn update_call<'a>(&'a self, call_sid: &'a str, update: CallUpdate) -> BoxFuture<'a, Result<(), CarrierError>>;

    /// Sends a text message from our number and returns its sid.
    fn send_message<'a>(&'a self, to: &'a str, body: &'a str) -> BoxFuture<'a, Result<String, CarrierError>>;

    /// A recording as WAV, by its sid alone: no URL that somebody sent is followed.
    fn recording<'a>(&'a self, sid: &'a str) -> BoxFuture<'a, Result<Vec<u8>, CarrierError>>;

    /// Deletes a recording. One that it does not have is refused with status 404: it is gone already, or has yet to appear.
    fn delete_recording<'a>(&'a self, sid: &'a str) -> BoxFuture<'a, Result<(), CarrierError>>;
}

impl fmt::Debug for dyn Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carrier")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_surely_did_not_happen_is_known_not_to_have() {
        let refused = |status| CarrierError::Refused { status, code: 0 };
        for error in [
            refused(500),
            refused(503),
            CarrierError::Unanswered,
            CarrierError::Unreadable,
            CarrierError::TooLarge,
        ] {
            assert!(error.may_be_done(), "{error}");
        }
        for error in [
            refused(400),
            refused(404),
            CarrierError::Busy,
            CarrierError::Unreachable,
            CarrierError::Malformed,
        ] {
            assert!(!error.may_be_done(), "{error}");
        }
    }
}
