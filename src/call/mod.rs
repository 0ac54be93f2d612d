//! One call: the driver that joins socket, machine and engines, and the registry of all calls.

pub mod driver;
pub mod inbound;
pub mod outbound;
pub mod registry;
pub mod socket;
pub mod trace;
mod work;
