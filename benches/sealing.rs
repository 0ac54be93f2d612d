//! What encryption costs the audio loop: one frame of 20 ms of both sides into a sealed recording.

use std::hint::black_box;
use std::io;

use criterion::{Criterion, criterion_group, criterion_main};
use tieline::privacy::chunks::ChunkWriter;
use tieline::privacy::seal::{DataKey, Place};

/// Two channels of 160 samples of 16 bits.
const FRAME: [u8; 640] = [0x5A; 640];

fn frames(c: &mut Criterion) {
    let key = DataKey::random("call/CA1");
    let mut writer = ChunkWriter::new(io::sink(), &key, "CA1").expect("begun");
    c.bench_function("sealing/frame_20ms_stereo", |b| {
        b.iter(|| writer.write(black_box(&FRAME)).expect("written"));
    });
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut writer = ChunkWriter::create(&dir.path().join("call.sealed"), &key, "CA1").expect("made");
    c.bench_function("sealing/frame_20ms_stereo_to_a_file", |b| {
        b.iter(|| writer.write(black_box(&FRAME)).expect("written"));
    });
}

fn values(c: &mut Criterion) {
    let key = DataKey::random("call/CA1");
    let place = Place {
        table: "turns",
        column: "said_sealed",
        record: "CA1/1",
    };
    let text = "It is MB one two three four five six, and I was born on March fifteenth, nineteen eighty five.";
    c.bench_function("sealing/turn_text", |b| b.iter(|| key.seal(place, black_box(text))));
    let sealed = key.seal(place, text);
    c.bench_function("sealing/turn_text_open", |b| {
        b.iter(|| key.open(place, black_box(&sealed)).expect("opens"));
    });
}

criterion_group!(benches, frames, values);
criterion_main!(benches);
