//! Replays what fuzzing has found, on the stable compiler and without a fuzzer: see `fuzz/README.md`.

mod chunks;
mod forms;
mod frames;
mod harness;
mod reader;
mod streams;
mod wire;

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use chunks::End;
use harness::Report;

#[test]
fn the_corpus_keeps_the_rules() {
    let mut sum = Report::default();
    for file in files("machine") {
        let report = check(&fs::read(&file).expect("readable"), &file.display().to_string());
        sum.kinds |= report.kinds;
        sum.timers |= report.timers;
        sum.completed += report.completed;
    }
    // A corpus that reaches nothing would keep every rule.
    assert_eq!(
        (sum.kinds, sum.timers),
        (0x3FFF, 0xFF),
        "some action or timer is never reached"
    );
    assert!(
        sum.completed > 100,
        "only {} replies are heard to their end",
        sum.completed
    );
}

#[test]
fn random_calls_keep_the_rules() {
    let mut random = xorshift();
    for call in 0..4_000 {
        let length = 20 + random() % 160;
        // Every other call has the default policy and comes further.
        let plain = call % 2 == 0;
        let bytes = (0..length).map(|at| if plain && at < 19 { 0 } else { (random() >> 32) as u8 });
        check(&bytes.collect::<Vec<u8>>(), &format!("random call {call}"));
    }
}

/// The same numbers on every machine and in every version.
fn xorshift() -> impl FnMut() -> u64 {
    let mut state = 0x7E11_14E5_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

#[test]
fn sealed_files_that_were_altered_are_found_out() {
    let mut ends: Vec<_> = files("chunks")
        .iter()
        .map(|file| chunks::run(&fs::read(file).expect("readable")))
        .collect();
    ends.sort();
    ends.dedup();
    // A corpus that reaches nothing would find everything.
    let all = [
        End::Whole,
        End::NotSealed,
        End::Header,
        End::Damaged,
        End::Cut,
        End::Trailing,
    ];
    assert_eq!(ends, all);
}

#[test]
fn sealed_files_that_are_altered_at_random_are_found_out() {
    let mut random = xorshift();
    for _ in 0..2_000 {
        let length = 1 + random() % 60;
        let bytes: Vec<u8> = (0..length).map(|_| (random() >> 32) as u8).collect();
        chunks::run(&bytes);
    }
}

/// Runs the bytes twice: the same calls must go the same way. Shows the whole call if a rule is broken.
fn check(bytes: &[u8], name: &str) -> Report {
    let run = |trace| panic::catch_unwind(AssertUnwindSafe(|| harness::run(bytes, trace)));
    if let Ok(report) = run(None) {
        assert_eq!(Some(report), run(None).ok(), "{name} goes another way the second time");
        return report;
    }
    let mut trace = String::new();
    let _ = run(Some(&mut trace));
    panic!("{name}\nbytes: {bytes:?}\n{trace}");
}

/// What a target's fuzzing has collected, and what it has once broken.
fn files(target: &str) -> Vec<PathBuf> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let corpus = fuzz.join("corpus").join(target);
    let entries = fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    // Not every target has had a fault.
    let regressions = fs::read_dir(fuzz.join("regressions").join(target));
    let entries = entries.chain(regressions.into_iter().flatten());
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files
}
