//! The core: who speaks, who listens, and when that changes. One [`Machine`](machine::Machine) per call.
//!
//! Events and `now` go in, actions and the next deadline come out. Nothing here awaits, reads a clock, locks, or starts
//! a thread; failures are inputs. Speech is measured in media time, deadlines in monotonic time.

pub mod backchannel;
pub mod endpoint;
pub mod event;
pub mod ledger;
pub mod machine;
pub mod playout;
pub mod policy;
mod reply;
pub mod shape;
pub mod vad_gate;
