//! One call: the driver that joins socket, machine and engines, and the registry of all calls.

pub mod audiosocket;
pub mod codec;
pub mod command;
pub mod driver;
pub mod inbound;
mod keys;
pub mod opening;
pub mod outbound;
pub mod outgoing;
pub mod progress;
mod record;
pub mod registry;
pub mod socket;
mod standing;
pub mod switchboard;
pub mod trace;
mod work;
