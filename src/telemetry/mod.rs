//! Logs and the latency of every turn.

pub mod latency;
pub mod logging;
