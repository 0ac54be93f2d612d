//! Twilio's wire formats, pure: stream messages, request signatures, status reports, `TwiML`. And its REST API, which is not.

pub mod answers;
pub mod dialect;
pub mod form;
pub mod message;
pub mod numbers;
pub mod proof;
pub mod recorded;
pub mod rest;
pub mod signature;
pub mod status;
pub mod twiml;
