//! Twilio's wire formats, pure: stream messages, request signatures, status reports, `TwiML`. And its REST API, which is not.

pub mod message;
pub mod rest;
pub mod signature;
pub mod status;
pub mod twiml;
