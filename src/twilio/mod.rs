//! Twilio's wire formats, pure: stream messages, request signatures, `TwiML`. And its REST API, which is not.

pub mod message;
pub mod rest;
pub mod signature;
pub mod twiml;
