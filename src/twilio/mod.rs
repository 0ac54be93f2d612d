//! Twilio's wire formats, pure: stream messages, request signatures, status reports, `TwiML`, a number's webhooks.

pub mod message;
pub mod numbers;
pub mod signature;
pub mod status;
pub mod twiml;
