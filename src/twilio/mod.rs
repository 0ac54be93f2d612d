//! Twilio's wire formats, pure: stream messages, request signatures, `TwiML`.

pub mod message;
pub mod recorded;
pub mod signature;
pub mod twiml;
