//! The inputs from the wire: media streams, AudioSocket frames, webhooks.

use std::fs;
use std::panic::{self, AssertUnwindSafe};

use crate::reader::Report;
use crate::{files, forms, frames, streams, xorshift};

#[test]
fn media_streams_keep_the_rules() {
    keeps_the_rules("streams", streams::run, streams::ALL);
}

#[test]
fn audiosocket_frames_keep_the_rules() {
    keeps_the_rules("frames", frames::run, frames::ALL);
}

#[test]
fn webhooks_keep_the_rules() {
    keeps_the_rules("forms", forms::run, forms::ALL);
}

/// All that was collected, and random runs. A corpus that reaches nothing would keep every rule: it must show all `kinds` there are.
fn keeps_the_rules(target: &str, run: fn(&[u8]) -> Report, kinds: u32) {
    let mut seen = 0;
    for file in files(target) {
        let bytes = fs::read(&file).expect("readable");
        seen |= check(run, &bytes, &file.display().to_string()).kinds;
    }
    assert_eq!(seen, kinds, "{target}: something is never reached");
    let mut random = xorshift();
    for n in 0..RUNS {
        let length = random() % 300;
        let bytes: Vec<u8> = (0..length).map(|_| (random() >> 32) as u8).collect();
        check(run, &bytes, &format!("random run {n}"));
    }
}

/// Runs the bytes twice: they must go the same way.
fn check(run: fn(&[u8]) -> Report, bytes: &[u8], name: &str) -> Report {
    match panic::catch_unwind(AssertUnwindSafe(|| run(bytes))) {
        Ok(report) => {
            assert_eq!(report, run(bytes), "{name} goes another way the second time");
            report
        }
        Err(_) => panic!("{name} breaks a rule; bytes: {bytes:?}"),
    }
}

const RUNS: u32 = 4_000;
