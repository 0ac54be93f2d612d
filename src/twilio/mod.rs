//! Twilio's wire formats, pure: stream messages, request signatures, `TwiML`; and those of carriers that resemble them.

pub mod answers;
pub mod dialect;
pub mod message;
pub mod proof;
pub mod signature;
pub mod twiml;
