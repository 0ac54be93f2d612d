//! Random AudioSocket connections, against the model in `tests/fuzz_corpus/frames.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz_corpus/frames.rs"]
#[allow(dead_code, reason = "what a corpus must reach is asked by the test alone")]
mod frames;
#[path = "../../tests/fuzz_corpus/reader.rs"]
#[allow(dead_code, reason = "shared by all targets")]
mod reader;

fuzz_target!(|bytes: &[u8]| {
    frames::run(bytes);
});
