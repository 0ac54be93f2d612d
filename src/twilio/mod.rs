//! Twilio's wire formats, pure: stream messages, request signatures, `TwiML`, a number's webhooks.

pub mod message;
pub mod numbers;
pub mod signature;
pub mod twiml;
