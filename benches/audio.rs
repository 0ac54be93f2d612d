//! The pieces of the audio path, each for 20 ms of one call.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tieline::audio::mulaw;
use tieline::audio::resample::Resampler;
use tieline::speech::webrtc::WebRtcVad;
use tieline::speech::{Vad, WINDOW};
use tieline::time::SampleRate;

#[path = "support/speech.rs"]
mod speech;

fn mu_law(c: &mut Criterion) {
    let speech = speech::line_speech();
    let floats: Vec<f32> = speech.iter().map(|&sample| mulaw::to_f32(sample)).collect();
    let bytes: Vec<u8> = speech.iter().map(|&sample| mulaw::encode(sample)).collect();

    let mut frames = bytes.chunks_exact(WINDOW).cycle();
    let mut pcm = Vec::with_capacity(WINDOW);
    c.bench_function("audio/mulaw_decode_160", |b| {
        b.iter(|| {
            pcm.clear();
            mulaw::decode_into(black_box(frames.next().unwrap_or_default()), &mut pcm);
            black_box(pcm.len())
        });
    });

    let mut frames = floats.chunks_exact(WINDOW).cycle();
    let mut encoded = Vec::with_capacity(WINDOW);
    c.bench_function("audio/mulaw_encode_160", |b| {
        b.iter(|| {
            encoded.clear();
            mulaw::encode_f32_into(black_box(frames.next().unwrap_or_default()), &mut encoded);
            black_box(encoded.len())
        });
    });
}

fn vad(c: &mut Criterion) {
    let speech = speech::line_speech();
    let (windows, _) = speech.as_chunks::<WINDOW>();
    let mut windows = windows.iter().cycle();
    let mut vad = WebRtcVad::new(2);
    c.bench_function("audio/webrtc_vad_window", |b| {
        b.iter(|| {
            windows
                .next()
                .is_some_and(|window| black_box(vad.is_voiced(black_box(window))))
        });
    });
}

fn resampling(c: &mut Criterion) {
    let speech = speech::line_speech();
    let floats: Vec<f32> = speech.iter().map(|&sample| mulaw::to_f32(sample)).collect();
    for (name, from, to) in [
        ("audio/resample_8k_to_16k_20ms", SampleRate::LINE, SampleRate::MODEL),
        (
            "audio/resample_22k05_to_8k_20ms",
            SampleRate::hz(22_050),
            SampleRate::LINE,
        ),
    ] {
        // The contents do not matter to a resampler, so the same samples serve at either rate.
        let mut blocks = floats.chunks_exact((from.get() / 50) as usize).cycle();
        let mut resampler = Resampler::new(from, to).expect("both ratios are valid");
        let mut output = Vec::with_capacity(1_000);
        c.bench_function(name, |b| {
            b.iter(|| {
                output.clear();
                resampler.push(black_box(blocks.next().unwrap_or_default()), &mut output);
                black_box(output.len())
            });
        });
    }
}

criterion_group!(benches, mu_law, vad, resampling);
criterion_main!(benches);
