//! Twilio's wire formats, pure: stream messages, request signatures, status reports, `TwiML`.

pub mod message;
pub mod signature;
pub mod status;
pub mod twiml;
