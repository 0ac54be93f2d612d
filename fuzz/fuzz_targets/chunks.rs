//! Sealed files, altered in every way, against what was written.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz_corpus/chunks.rs"]
mod chunks;

fuzz_target!(|bytes: &[u8]| {
    chunks::run(bytes);
});
