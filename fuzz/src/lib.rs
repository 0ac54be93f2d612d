//! The pure parts of tieline that are fuzzed, compiled from their own sources without anything they do not need.

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
#[path = "../../src/twilio"]
pub mod twilio {
    pub mod dialect;
    pub mod form;
    pub mod message;
    pub mod signature;
    pub mod status;
}
