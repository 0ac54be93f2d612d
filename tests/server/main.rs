//! The whole server over real sockets, with engines that are told what to do.
//!
//! No test waits by the clock: it waits for a message or an event, within a limit that only a hang reaches. The caller's audio
//! is sent in bursts, because the server counts it in media time.

mod conformance;
mod drain;
mod endpoints;
mod engine_faults;
mod engines;
mod flows;
mod guided;
mod health;
mod http_server;
mod languages;
mod llm_faults;
mod log;
mod media;
mod nginx;
mod oracle;
mod phi;
mod phone;
mod playout;
mod record;
mod recording;
mod remote_speech;
mod signed;
mod speculation;
mod status;
mod support;
mod tls;
mod webhook;
mod wire;
