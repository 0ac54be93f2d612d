//! Twilio's wire formats, pure: stream messages, request signatures, status reports, `TwiML`; and those of carriers that resemble them.
//! Its REST API (`rest`) is not pure.

pub mod answers;
pub mod dialect;
pub mod message;
pub mod proof;
pub mod rest;
pub mod signature;
pub mod status;
pub mod twiml;
