//! The pure core of tieline, compiled from its own sources without anything it does not need.

#[path = "../../src/time.rs"]
pub mod time;
#[path = "../../src/turn/mod.rs"]
pub mod turn;
