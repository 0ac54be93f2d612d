//! One call: the driver that joins socket, machine and engines, and the registry of all calls.

pub mod audiosocket;
pub(crate) mod backoff;
pub mod codec;
pub mod command;
mod disk;
pub mod drain;
pub mod driver;
pub mod end;
pub mod flow;
pub mod inbound;
mod keys;
pub mod opening;
pub mod outbound;
pub mod outgoing;
pub mod progress;
mod reception;
mod record;
pub mod recorded;
pub mod recording;
pub mod registry;
pub mod socket;
mod standing;
pub mod switchboard;
pub mod trace;
pub mod voicemail;
mod work;
