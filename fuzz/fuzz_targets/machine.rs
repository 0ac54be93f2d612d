//! Random calls through the turn-taking machine, against the model in `tests/fuzz_corpus/harness`.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzz_corpus/harness/mod.rs"]
mod harness;

fuzz_target!(|bytes: &[u8]| {
    harness::run(bytes, None);
});
