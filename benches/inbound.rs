//! The caller's 20 ms, from the received text to VAD flags and 16 kHz audio. Goal: 15 µs.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tieline::call::codec::Codec;
use tieline::call::inbound::Inbound;
use tieline::call::socket::Received;
use tieline::speech::WINDOW;
use tieline::speech::ear::Ear;
use tieline::speech::webrtc::WebRtcVad;
use tieline::time::MediaTime;
use tieline::twilio::dialect::Dialect;
use tieline::twilio::message::{Inbound as Message, parse};

#[path = "support/message.rs"]
mod message;
#[path = "support/speech.rs"]
mod speech;
#[path = "support/start.rs"]
mod start;

fn inbound(c: &mut Criterion) {
    let messages = message::media_messages(&speech::line_speech());

    let mut texts = messages.iter().cycle();
    c.bench_function("inbound/parse", |b| {
        b.iter(|| {
            texts
                .next()
                .is_some_and(|text| black_box(parse(Dialect::Twilio, black_box(text))).is_ok())
        });
    });

    let mut texts = messages.iter().cycle();
    let mut payload = Vec::new();
    c.bench_function("inbound/parse_and_base64", |b| {
        b.iter(|| {
            let Ok(Message::Media(media)) = parse(Dialect::Twilio, black_box(texts.next().map_or("", String::as_str)))
            else {
                unreachable!("all messages are media")
            };
            media.decode(&mut payload)
        });
    });

    let mut texts = messages.iter().cycle();
    let mut codec = Codec::new(Dialect::Twilio, &start::start()).expect("our format");
    let mut inbound = Inbound::new(Ear::new(Box::new(WebRtcVad::new(2)), None), 75);
    let mut windows = Vec::new();
    let mut received = 0;
    c.bench_function("inbound/whole_frame", |b| {
        b.iter(|| {
            windows.clear();
            let Received::Audio(audio) = codec.read(black_box(texts.next().map_or("", String::as_str))) else {
                unreachable!("all messages are media")
            };
            inbound.take(audio, &mut windows);
            received += (windows.len() * WINDOW) as u64;
            inbound.discard_before(MediaTime::from_samples(received.saturating_sub(KEPT)));
            black_box(windows.len())
        });
    });
}

/// Samples a listening call keeps: pre-roll and slack, 1.24 s.
const KEPT: u64 = 9_920;

criterion_group!(benches, inbound);
criterion_main!(benches);
