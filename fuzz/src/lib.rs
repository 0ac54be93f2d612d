//! The parts of tieline that are fuzzed, pure or reading sealed files, compiled from their own sources without anything they do not need.

#[path = "../../src/audio"]
pub mod audio {
    pub mod mulaw;
}
#[path = "../../src/call"]
pub mod call {
    pub mod audiosocket {
        pub mod frame;
    }
    pub mod codec;
    pub mod socket;
}
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
#[path = "../../src/twilio"]
pub mod twilio {
    pub mod dialect;
    pub mod form;
    pub mod message;
    pub mod signature;
    pub mod status;
}
