//! Twilio's wire formats, pure: stream messages, request signatures, status reports, `TwiML`, a number's webhooks; and those of
//! carriers that resemble them.

pub mod answers;
pub mod dialect;
pub mod message;
pub mod numbers;
pub mod proof;
pub mod signature;
pub mod status;
pub mod twiml;
