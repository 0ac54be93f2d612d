//! What each carrier writes and is written, message by message, from `fixtures/*.jsonl`: the shapes are those of the
//! carriers' documentation, and of pipecat-ai 1.14.0's serializers where both have them.
//!
//! A line is either what the carrier says (`in`) and what it `means`, or what we `do` and what the carrier is sent (`out`).

use serde_json::Value;
use tieline::audio::mulaw;
use tieline::call::codec::Codec;
use tieline::call::socket::{Outgoing, Received};
use tieline::turn::event::{MarkName, SentenceId, TurnId};
use tieline::twilio::dialect::Dialect;
use tieline::twilio::message::{Inbound, parse};

const MARK: MarkName = MarkName {
    epoch: 1,
    sentence: SentenceId {
        turn: TurnId(2),
        index: 3,
    },
};

fn play(dialect: Dialect, fixture: &str) {
    let mut codec = None;
    let mut kinds = Vec::new();
    for (n, line) in fixture.lines().enumerate() {
        let place = format!("{}.jsonl:{}", dialect.name(), n + 1);
        let line: Value = serde_json::from_str(line).expect(&place);
        if let Some(message) = line.get("in") {
            let text = message.to_string();
            if let Ok(Inbound::Start(start)) = parse(dialect, &text)
                && codec.is_none()
            {
                let said = format!("start {} {} {}", start.stream_sid, start.call_sid, start.account_sid);
                assert_eq!(line["means"], said, "{place}");
                codec = Some(Codec::new(dialect, &start).expect("our audio"));
                continue;
            }
            let meaning = codec
                .as_mut()
                .map_or_else(|| "ignored".to_owned(), |codec| meaning(codec.read(&text)));
            assert_eq!(line["means"], meaning, "{place}");
            kinds.push(meaning.split(' ').next().unwrap_or_default().to_owned());
        } else {
            let codec = codec.as_mut().expect("after the start");
            let sent = written(codec, line["do"].as_str().expect(&place));
            assert_eq!(line["out"], Value::from(sent), "{place}");
        }
    }
    for kind in ["audio", "dtmf", "mark", "ignored"] {
        assert!(
            kinds.iter().any(|seen| seen == kind),
            "{} shows no {kind}",
            dialect.name()
        );
    }
}

/// What was received, in words.
fn meaning(received: Received<'_>) -> String {
    match received {
        Received::Audio(audio) => {
            let at = audio.at_ms.map_or_else(|| "-".to_owned(), |at| at.to_string());
            let peak = audio.pcm.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
            format!("audio {at} {} {peak}", audio.pcm.len())
        }
        Received::Dtmf(key) => format!("dtmf {key}"),
        Received::Mark(mark) => format!("mark {mark}"),
        Received::Stop => "stop".to_owned(),
        Received::Ignored => "ignored".to_owned(),
        Received::Unreadable(_) => "unreadable".to_owned(),
        Received::Closed => "closed".to_owned(),
    }
}

fn written(codec: &mut Codec, order: &str) -> Vec<Value> {
    let (order, count) = order.split_once(' ').unwrap_or((order, "0"));
    let audio = vec![mulaw::SILENCE; count.parse().expect("a number")];
    let texts = codec.write(match order {
        "audio" => Outgoing::Audio(&audio),
        "mark" => Outgoing::Mark(MARK),
        "clear" => Outgoing::Clear,
        other => panic!("unknown order {other}"),
    });
    texts
        .iter()
        .map(|text| shortened(serde_json::from_str(text).expect("JSON")))
        .collect()
}

/// A long payload as its number of characters.
fn shortened(mut message: Value) -> Value {
    if let Some(payload) = message["media"]["payload"].as_str()
        && payload.len() > 40
    {
        message["media"]["payload"] = Value::from(payload.len());
    }
    message
}

#[test]
fn twilio() {
    play(Dialect::Twilio, include_str!("fixtures/twilio.jsonl"));
}

#[test]
fn signalwire() {
    play(Dialect::SignalWire, include_str!("fixtures/signalwire.jsonl"));
}

#[test]
fn telnyx() {
    play(Dialect::Telnyx, include_str!("fixtures/telnyx.jsonl"));
}

#[test]
fn plivo() {
    play(Dialect::Plivo, include_str!("fixtures/plivo.jsonl"));
}

#[test]
fn exotel() {
    play(Dialect::Exotel, include_str!("fixtures/exotel.jsonl"));
}
