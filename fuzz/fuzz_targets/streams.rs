//! Random media streams in every dialect, against the carriers' side in `tests/fuzz_corpus/streams.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz_corpus/reader.rs"]
#[allow(dead_code, reason = "shared by all targets")]
mod reader;
#[path = "../../tests/fuzz_corpus/streams.rs"]
#[allow(dead_code, reason = "what a corpus must reach is asked by the test alone")]
mod streams;

fuzz_target!(|bytes: &[u8]| {
    streams::run(bytes);
});
