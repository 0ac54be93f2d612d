//! The pure core of tieline, and what reads sealed files, compiled from its own sources without anything it does not need.

#[path = "../../src/time.rs"]
pub mod time;
#[path = "../../src/turn/mod.rs"]
pub mod turn;
/// Without the keys' files.
#[path = "../../src/privacy"]
pub mod privacy {
    pub mod chunks;
    pub mod seal;
}
