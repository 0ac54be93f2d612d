//! Calls that are held turn by turn, without a media stream, over real sockets: a small Twilio plays the caller, keeps what it
//! records, and does what the `TwiML` says.
//!
//! Nothing waits by the clock, but for what only a hang reaches.

#[path = "../server/engines.rs"]
#[allow(dead_code, reason = "shared with the tests of the server, which use more of it")]
mod engines;
mod exchange;
mod faults;
mod guided;
#[path = "../server/http_server.rs"]
#[allow(dead_code, reason = "shared with the tests of the server, which use all of it")]
mod http_server;
#[path = "../server/log.rs"]
#[allow(dead_code, reason = "shared with tests/server")]
mod log;
mod real;
mod steps;
mod support;
