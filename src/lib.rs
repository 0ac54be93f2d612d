//! tieline: a self-hosted phone voice agent.
//!
//! Arrows point downwards only; `tests/architecture.rs` checks it.
//!
//! | module | what it is |
//! |---|---|
//! | [`cli`] | the commands |
//! | [`http`] | webhooks, media socket, health |
//! | [`caller`] | a simulated caller that plays Twilio's part |
//! | [`call`] | one call: the driver, the registry of all calls |
//! | [`engine`], [`dialog`], [`telemetry`] | inference threads; what to say; logs and latency |
//! | [`models`], [`store`] | which weights there are, where they come from, whether they are intact; what outlives a call |
//! | [`speech`] | what an engine must do, and the engines |
//! | [`privacy`] | keys, sealed values, sealed files |
//! | [`config`] | typed settings, a pure function of strings |
//! | [`turn`], [`twilio`], [`privacy`] | the pure turn-taking machine; Twilio's wire formats; what may leave the house |
//! | [`audio`] | μ-law, frames, resampling, level, WAV |
//! | [`time`] | media time |

pub mod audio;
pub mod call;
pub mod caller;
pub mod cli;
pub mod config;
pub mod dialog;
pub mod engine;
pub mod http;
pub mod models;
pub mod privacy;
pub mod retention;
pub mod speech;
pub mod store;
pub mod telemetry;
pub mod time;
pub mod turn;
pub mod twilio;
