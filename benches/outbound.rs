//! The agent's 20 ms, from a voice's PCM to the text that is sent. Goal: 15 µs.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tieline::audio::line;
use tieline::audio::mulaw;
use tieline::audio::resample::Resampler;
use tieline::call::codec::Codec;
use tieline::call::outbound::Outbound;
use tieline::call::socket::Outgoing;
use tieline::engine::LineAudio;
use tieline::time::SampleRate;
use tieline::twilio::dialect::Dialect;
use tieline::twilio::message::Outbound as Encoder;

#[path = "support/speech.rs"]
mod speech;
#[path = "support/start.rs"]
mod start;

fn outbound(c: &mut Criterion) {
    let speech: Vec<f32> = speech::line_speech().into_iter().map(mulaw::to_f32).collect();

    let mut blocks = speech.chunks_exact(441).cycle();
    let mut resampler = Resampler::new(SampleRate::hz(22_050), SampleRate::LINE).expect("the ratio is valid");
    let encoder = Encoder::new(Dialect::Twilio, STREAM);
    let (mut line, mut bytes, mut text) = (Vec::new(), Vec::new(), String::new());
    c.bench_function("outbound/whole_frame", |b| {
        b.iter(|| {
            line.clear();
            bytes.clear();
            text.clear();
            resampler.push(black_box(blocks.next().unwrap_or_default()), &mut line);
            mulaw::encode_f32_into(&line, &mut bytes);
            encoder.media(&bytes, &mut text);
            black_box(text.len())
        });
    });

    // What is left on the call's task once a sentence waits in the queue as line audio.
    let sentence: LineAudio = vec![0x5A; 8_000 * 5].into();
    let (mut outbound, mut codec) = (
        Outbound::default(),
        Codec::new(Dialect::Twilio, &start::start()).expect("our format"),
    );
    let mut left = 0;
    c.bench_function("outbound/message_of_160", |b| {
        b.iter(|| {
            if left == 0 {
                outbound.queue(LineAudio::clone(&sentence));
                left = sentence.len() as u64;
            }
            left -= line::FRAME as u64;
            black_box(codec.write(Outgoing::Audio(outbound.next(line::FRAME as u64))))[0].len()
        });
    });
}

const STREAM: &str = "MZ18ad3ab5a668481ce02b83e7395059f0";

criterion_group!(benches, outbound);
criterion_main!(benches);
