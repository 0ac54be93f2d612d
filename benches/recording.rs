//! What a recording costs the audio loop: 20 ms of both sides, handed to the thread that seals them. Goal: 5 µs.

use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use tieline::audio::mulaw;
use tieline::call::recording::tap_into;
use tieline::privacy::seal::DataKey;

#[path = "support/speech.rs"]
mod speech;

fn recording(c: &mut Criterion) {
    let speech = speech::line_speech();
    let mut bytes = Vec::new();
    bytes.extend(speech.iter().map(|sample| mulaw::encode(*sample)));
    let key = DataKey::random("call/CA1");
    let mut group = c.benchmark_group("recording");
    // At the pace of a call the queue never fills: each measured frame is sent to a thread that waits for it, which is the dearest.
    group.sample_size(20);
    group.bench_function("frame_20ms_both_sides_paced", |b| {
        let (mut tap, _thread) = tap_into(io::sink(), &key).expect("a thread");
        let mut now = start();
        let (mut pcm, mut mulaw) = (speech.chunks_exact(160).cycle(), bytes.chunks_exact(160).cycle());
        b.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            for _ in 0..times {
                now += Duration::from_millis(20);
                let (caller, agent) = (pcm.next().unwrap_or_default(), mulaw.next().unwrap_or_default());
                let begun = start();
                tap.caller(black_box(caller), false, now);
                tap.agent(black_box(agent), now);
                spent += begun.elapsed();
                std::thread::park_timeout(Duration::from_micros(300));
            }
            spent
        });
    });
    // Without pause: the queue is full at times, and the thread competes for the core.
    group.bench_function("frame_20ms_both_sides_at_once", |b| {
        let (mut tap, _thread) = tap_into(io::sink(), &key).expect("a thread");
        let mut now = start();
        let (mut pcm, mut mulaw) = (speech.chunks_exact(160).cycle(), bytes.chunks_exact(160).cycle());
        b.iter(|| {
            now += Duration::from_millis(20);
            tap.caller(black_box(pcm.next().unwrap_or_default()), false, now);
            tap.agent(black_box(mulaw.next().unwrap_or_default()), now);
        });
    });
    group.finish();
}

#[expect(clippy::disallowed_methods, reason = "a bench measures by the clock")]
fn start() -> Instant {
    Instant::now()
}

criterion_group!(benches, recording);
criterion_main!(benches);
