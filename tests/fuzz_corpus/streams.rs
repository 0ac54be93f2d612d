//! Media streams in five carriers' words: what a carrier says is understood as it was meant, what it must not say does no harm, and what it is told
//! has its shape and loses nothing. The carriers' side is written by hand, so that it can disagree with ours.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tieline::audio::mulaw;
use tieline::call::codec::Codec;
use tieline::call::socket::{Outgoing, Received};
use tieline::turn::event::{MarkName, SentenceId, TurnId};
use tieline::twilio::dialect::Dialect;
use tieline::twilio::message::{Inbound, parse};

use crate::reader::{Reader, Report};

/// Runs one stream to its end and panics where a rule is broken.
pub(crate) fn run(bytes: &[u8]) -> Report {
    let mut reader = Reader::new(bytes);
    let dialect = reader.pick(&DIALECTS);
    let mut report = Report::default();
    let Some(codec) = start(dialect, &mut reader, &mut report) else {
        return report;
    };
    let mut stream = Stream {
        dialect,
        linear: dialect == Dialect::Exotel,
        codec,
        caller: Caller::default(),
        queued: VecDeque::new(),
        marks: 0,
        report,
    };
    for _ in 0..MOST_STEPS {
        if reader.is_empty() {
            break;
        }
        stream.step(&mut reader);
    }
    stream.report
}

struct Stream {
    dialect: Dialect,
    /// Audio goes as 16-bit samples.
    linear: bool,
    codec: Codec,
    caller: Caller,
    /// μ-law that was to be sent and was not.
    queued: VecDeque<u8>,
    marks: u32,
    report: Report,
}

/// What the caller's side has said, where messages may overtake each other.
#[derive(Default)]
struct Caller {
    next: u64,
    at_ms: u64,
    /// Of pieces not heard yet, when each was sent, in messages.
    waiting: BTreeMap<u64, u32>,
    /// The last piece that was heard.
    heard: Option<u64>,
    sent: u32,
}

/// The message a stream begins with; `None` if its audio is none of ours.
fn start(dialect: Dialect, reader: &mut Reader<'_>, report: &mut Report) -> Option<Codec> {
    let words = words(dialect);
    let fault = reader.next() % 8;
    let encoding = match (dialect, fault) {
        (_, 1) => "audio/x-unheard-of",
        (Dialect::Telnyx, _) => "PCMU",
        (Dialect::Exotel, _) => reader.pick(&["audio/x-raw", "raw/slin", "base64"]),
        (Dialect::Twilio | Dialect::SignalWire | Dialect::Plivo, _) => "audio/x-mulaw",
    };
    let rate = match fault {
        2 => json!(16_000),
        3 => json!("8000"),
        _ => json!(8_000),
    };
    let mut format = json!({"encoding": encoding, words.rate: rate});
    if fault == 4 {
        format["channels"] = json!(2);
    }
    let mut message = json!({"event": "start", "sequenceNumber": "1", words.stream: STREAM,
        "start": {words.stream: STREAM, words.call: CALL, words.account: "AC1", words.format: format,
                  words.parameters: {"tok": "t0ken", "n": 7}}});
    if fault == 5 {
        message["start"].as_object_mut()?.remove(words.call);
    }
    let text = message.to_string();
    let start = match parse(dialect, &text) {
        Ok(Inbound::Start(start)) if fault != 5 => start,
        Err(_) if fault == 5 => {
            report.note(0, b"nobody's call");
            return None;
        }
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(
        (
            start.call_sid.as_str(),
            start.stream_sid.as_str(),
            start.account_sid.as_str()
        ),
        (CALL, STREAM, "AC1")
    );
    let tokens: Vec<_> = start.custom_parameters.iter().collect();
    assert_eq!(
        tokens,
        [(&"tok".to_owned(), &"t0ken".to_owned())],
        "texts alone are parameters"
    );
    let codec = Codec::new(dialect, &start);
    assert_eq!(codec.is_err(), matches!(fault, 1 | 2 | 4), "{text}");
    report.note(1, dialect.name().as_bytes());
    codec.ok()
}

impl Stream {
    fn step(&mut self, reader: &mut Reader<'_>) {
        match reader.next() % 12 {
            0..=2 => self.says(reader),
            3 => self.presses(reader),
            4 => self.returns_a_mark(reader),
            5 => self.says_something_else(reader),
            6 => self.breaks_a_message(reader),
            7 => {
                let length = reader.below(120);
                let text = String::from_utf8_lossy(reader.raw(length)).into_owned();
                self.reads_rubbish(&text);
            }
            8 | 9 => {
                let samples = 160 * reader.below(30);
                let code = reader.next();
                let audio: Vec<u8> = (0..samples).map(|n| code.wrapping_add(n as u8)).collect();
                self.is_told(Outgoing::Audio(&audio));
            }
            10 => {
                self.marks += 1;
                self.is_told(Outgoing::Mark(mark(self.marks)));
            }
            _ => self.is_told(Outgoing::Clear),
        }
    }

    /// A piece of the caller's audio. It tells its own number, so that it is known again.
    fn says(&mut self, reader: &mut Reader<'_>) {
        let jump = reader.next();
        let chunk = match jump % 16 {
            // Out of order, where that happens; lost; counted anew.
            1..=4 => self.caller.next + u64::from(jump / 16 % 7),
            5 => self.caller.next.saturating_sub(u64::from(jump / 16)),
            6 => self.caller.next + 5_000,
            _ => self.caller.next,
        };
        self.caller.next = chunk + 1;
        let at_ms = self.caller.at_ms;
        self.caller.at_ms += 20;
        let codes: Vec<u8> = (0..DIGITS).map(|n| (chunk >> (4 * n) & 0xF) as u8).collect();
        let samples: Vec<i16> = codes.iter().map(|&code| mulaw::decode(code)).collect();
        let payload = if self.linear {
            samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
        } else {
            codes
        };
        let (chunk_said, at_said) = match jump % 3 {
            0 => (json!(chunk.to_string()), json!(at_ms.to_string())),
            _ => (json!(chunk), json!(at_ms)),
        };
        let media = json!({"track": "inbound", "chunk": chunk_said, "timestamp": at_said,
                           "payload": BASE64_STANDARD.encode(payload)});
        let text = json!({"event": "media", words(self.dialect).stream: STREAM, "media": media}).to_string();
        let read = self.codec.read(&text);
        let heard = if let Received::Audio(audio) = read {
            Some((audio.at_ms, audio.pcm.to_vec()))
        } else {
            quiet(&read, &text)
        };
        if self.dialect == Dialect::Telnyx {
            self.caller.take(chunk, heard.map(|(_, pcm)| numbers(&pcm)));
            return self.report.note(2, &chunk.to_be_bytes());
        }
        let told = (self.dialect != Dialect::Plivo).then_some(at_ms);
        assert_eq!(heard, Some((told, samples)), "{text}");
        self.report.note(3, &chunk.to_be_bytes());
    }

    fn presses(&mut self, reader: &mut Reader<'_>) {
        let key = reader.pick(&["1", "9", "0", "*", "#", "A", "D", "E", "", "x", "12", "é"]);
        let text = json!({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": key}}).to_string();
        let first = key.chars().next().filter(|key| "0123456789*#ABCD".contains(*key));
        let read = self.codec.read(&text);
        let pressed = if let Received::Dtmf(key) = read {
            Some(key)
        } else {
            quiet(&read, &text)
        };
        assert_eq!(pressed, first, "{text}");
        self.report.note(4, key.as_bytes());
    }

    fn returns_a_mark(&mut self, reader: &mut Reader<'_>) {
        let number = u32::from(reader.next());
        let name = match number % 4 {
            0 => format!("{}.x", mark(number)),
            1 => "greeting".to_owned(),
            _ => mark(number).to_string(),
        };
        let message = match self.dialect {
            Dialect::Plivo => json!({"event": "playedStream", "streamId": STREAM, "name": name}),
            Dialect::Twilio | Dialect::SignalWire | Dialect::Telnyx | Dialect::Exotel => {
                json!({"event": "mark", words(self.dialect).stream: STREAM, "mark": {"name": name}})
            }
        };
        let text = message.to_string();
        let read = self.codec.read(&text);
        let returned = if let Received::Mark(mark) = read {
            Some(mark)
        } else {
            quiet(&read, &text)
        };
        assert_eq!(returned, (number % 4 > 1).then(|| mark(number)), "{text}");
        self.report.note(5, name.as_bytes());
    }

    /// What says nothing to us, or that it is over.
    fn says_something_else(&mut self, reader: &mut Reader<'_>) {
        let payload = BASE64_STANDARD.encode([0xFF; 160]);
        let message = match reader.next() % 6 {
            0 => json!({"event": "media", "media": {"track": "outbound", "payload": payload}}),
            1 => json!({"event": "connected", "protocol": "Call"}),
            2 => json!({"event": "news", "news": {"x": [1, {"y": null}]}}),
            3 => json!({"media": {"payload": payload}}),
            4 => json!({"event": "error", "payload": {"code": 100_002}}),
            _ => json!({"event": "stop", "stop": {"callSid": CALL}}),
        };
        let text = message.to_string();
        let read = self.codec.read(&text);
        let stops = message["event"] == "stop";
        let fault = message["event"] == "error" && self.dialect == Dialect::Telnyx;
        assert_eq!(read == Received::Stop, stops, "{text}");
        assert_eq!(matches!(read, Received::Unreadable(_)), fault, "{text}");
        assert!(stops || fault || read == Received::Ignored, "{text}");
        self.report.note(6, text.as_bytes());
    }

    /// A media message of which something is missing or of another type.
    fn breaks_a_message(&mut self, reader: &mut Reader<'_>) {
        let mut media = json!({"track": "inbound", "chunk": 1, "timestamp": "0", "payload": "//7+/w=="});
        let field = reader.pick(&["track", "chunk", "timestamp", "payload"]);
        let value = match reader.next() % 8 {
            0 => json!(null),
            1 => json!(-1),
            2 => json!("%%%"),
            3 => json!([]),
            4 => json!({"a": 1}),
            5 => json!(1.5),
            6 => json!("18446744073709551616"),
            _ => json!(true),
        };
        media[field] = value;
        let payload = media["payload"].as_str().map(|text| BASE64_STANDARD.decode(text));
        let holds_audio = payload.is_some_and(|bytes| bytes.is_ok_and(|bytes| !bytes.is_empty()));
        let text = json!({"event": "media", "media": media}).to_string();
        if self.dialect == Dialect::Telnyx {
            // What its order makes of such a piece is nobody's promise.
            return self.reads_rubbish(&text);
        }
        let read = self.codec.read(&text);
        if matches!(read, Received::Audio(_)) {
            assert!(holds_audio, "{text}");
        } else if !matches!(read, Received::Unreadable(_)) {
            quiet::<()>(&read, &text);
        }
        self.report.note(7, text.as_bytes());
    }

    /// Anything at all; a fresh line reads it, as it may say what would confuse the books.
    fn reads_rubbish(&mut self, text: &str) {
        let start = format!(
            r#"{{"event":"start","start":{{"callSid":"c","callId":"c","call_sid":"c","call_control_id":"c","mediaFormat":{FORMAT},"media_format":{FORMAT}}}}}"#
        );
        let start = start.replace(
            "ENCODING",
            if self.dialect == Dialect::Telnyx {
                "pcmu"
            } else {
                "audio/x-mulaw"
            },
        );
        let Ok(Inbound::Start(start)) = parse(self.dialect, &start) else {
            panic!("{start} begins a stream")
        };
        let mut codec = Codec::new(self.dialect, &start).expect("its audio is ours");
        for _ in 0..2 {
            if let Received::Audio(audio) = codec.read(text) {
                assert!(audio.pcm.len() <= text.len(), "audio out of nothing");
            }
        }
        self.report.note(8, text.as_bytes());
    }

    /// What we have to say reaches the carrier in its own words.
    fn is_told(&mut self, outgoing: Outgoing<'_>) {
        match outgoing {
            Outgoing::Audio(audio) => self.queued.extend(audio),
            Outgoing::Clear => self.queued.clear(),
            Outgoing::Mark(_) => {}
        }
        let texts: Vec<Value> = {
            let texts = self.codec.write(outgoing);
            texts
                .iter()
                .map(|text| serde_json::from_str(text).expect("JSON"))
                .collect()
        };
        let mut texts = texts.into_iter();
        let wanted = match outgoing {
            Outgoing::Audio(_) => None,
            Outgoing::Mark(name) => Some(self.mark_message(&name.to_string())),
            Outgoing::Clear => Some(self.clear_message()),
        };
        let mut last = texts.next();
        if last.is_some() && last != wanted {
            self.takes_audio(&last.take().expect("a message"), wanted.is_some());
            last = texts.next();
        }
        assert_eq!(last, wanted);
        assert_eq!(texts.next(), None, "nothing more is said");
        let most = if self.linear { LEAST / 2 } else { 1 };
        let waits = self.queued.len() < most;
        assert!(
            waits && (wanted.is_none() || self.queued.is_empty()),
            "{} samples wait",
            self.queued.len()
        );
        self.report.note(if wanted.is_some() { 9 } else { 10 }, &[]);
    }

    /// Of what was to be sent, the next; at a mark with silence behind it, where only large pieces are taken.
    fn takes_audio(&mut self, message: &Value, at_mark: bool) {
        let payload = message["media"]["payload"].as_str().expect("a payload").to_owned();
        assert_eq!(*message, self.media_message(&payload));
        let bytes = BASE64_STANDARD.decode(payload).expect("base64");
        if !self.linear {
            let sent: Vec<u8> = self.queued.drain(..).collect();
            return assert_eq!(bytes, sent, "all of it, at once");
        }
        assert!(
            bytes.len() >= LEAST && bytes.len().is_multiple_of(BLOCK),
            "{} bytes",
            bytes.len()
        );
        for pair in bytes.chunks_exact(2) {
            let expected = self.queued.pop_front();
            assert!(expected.is_some() || at_mark, "silence in the middle");
            let sample = i16::from_le_bytes([pair[0], pair[1]]);
            assert_eq!(sample, mulaw::decode(expected.unwrap_or(0xFF)));
        }
        self.report.note(11, &bytes[..2]);
    }

    fn media_message(&self, payload: &str) -> Value {
        match self.dialect {
            Dialect::Twilio | Dialect::SignalWire => {
                json!({"event": "media", "streamSid": STREAM, "media": {"payload": payload}})
            }
            Dialect::Telnyx => json!({"event": "media", "media": {"payload": payload}}),
            Dialect::Plivo => json!({"event": "playAudio", "streamId": STREAM,
                "media": {"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": payload}}),
            Dialect::Exotel => json!({"event": "media", "stream_sid": STREAM, "media": {"payload": payload}}),
        }
    }

    fn mark_message(&self, name: &str) -> Value {
        match self.dialect {
            Dialect::Twilio | Dialect::SignalWire => {
                json!({"event": "mark", "streamSid": STREAM, "mark": {"name": name}})
            }
            Dialect::Telnyx => json!({"event": "mark", "mark": {"name": name}}),
            Dialect::Plivo => json!({"event": "checkpoint", "streamId": STREAM, "name": name}),
            Dialect::Exotel => json!({"event": "mark", "stream_sid": STREAM, "mark": {"name": name}}),
        }
    }

    fn clear_message(&self) -> Value {
        match self.dialect {
            Dialect::Twilio | Dialect::SignalWire => json!({"event": "clear", "streamSid": STREAM}),
            Dialect::Telnyx => json!({"event": "clear"}),
            Dialect::Plivo => json!({"event": "clearAudio", "streamId": STREAM}),
            Dialect::Exotel => json!({"event": "clear", "stream_sid": STREAM}),
        }
    }
}

impl Caller {
    /// A piece was said, and perhaps some were heard: in order, each once, and none waits for long.
    fn take(&mut self, chunk: u64, heard: Option<Vec<u64>>) {
        self.sent += 1;
        let anew = self.heard.is_some_and(|last| chunk.abs_diff(last + 1) > FAR);
        if anew {
            // It counts anew: what waited is lost.
            self.waiting.clear();
            self.heard = None;
        }
        let late = self.heard.is_some_and(|last| chunk <= last);
        if !late {
            self.waiting.insert(chunk, self.sent);
        }
        let Some(heard) = heard else {
            assert!(
                late || self.heard.is_some_and(|last| chunk > last + 1),
                "piece {chunk} is due"
            );
            assert!(self.waiting.len() <= HELD, "{} pieces wait", self.waiting.len());
            return;
        };
        assert!(!late, "piece {chunk} is too late");
        for number in heard {
            assert!(
                self.heard.is_none_or(|last| number > last),
                "piece {number} is heard after {:?}",
                self.heard
            );
            assert!(self.waiting.remove(&number).is_some(), "piece {number} is heard twice");
            self.heard = Some(number);
        }
        let last = self.heard.expect("something was heard");
        assert!(
            self.waiting.keys().all(|&waits| waits > last + 1),
            "what follows is heard with it"
        );
    }
}

/// Nothing was made of a message, which may be.
fn quiet<T>(read: &Received<'_>, text: &str) -> Option<T> {
    assert!(*read == Received::Ignored, "{text} is something else");
    None
}

/// The numbers that pieces of audio tell.
fn numbers(pcm: &[i16]) -> Vec<u64> {
    let digit = |sample: &i16| {
        (0..16)
            .find(|&code| mulaw::decode(code) == *sample)
            .expect("audio of ours")
    };
    let number = |piece: &[i16]| {
        piece
            .iter()
            .rev()
            .fold(0, |number, sample| number << 4 | u64::from(digit(sample)))
    };
    pcm.chunks_exact(DIGITS).map(number).collect()
}

fn mark(number: u32) -> MarkName {
    MarkName {
        epoch: number / 7,
        sentence: SentenceId {
            turn: TurnId(number),
            index: 3,
        },
    }
}

/// The names in a carrier's messages.
struct Words {
    stream: &'static str,
    call: &'static str,
    account: &'static str,
    format: &'static str,
    rate: &'static str,
    parameters: &'static str,
}

fn words(dialect: Dialect) -> Words {
    let names = match dialect {
        Dialect::Twilio | Dialect::SignalWire => [
            "streamSid",
            "callSid",
            "accountSid",
            "mediaFormat",
            "sampleRate",
            "customParameters",
        ],
        Dialect::Telnyx => [
            "stream_id",
            "call_control_id",
            "user_id",
            "media_format",
            "sample_rate",
            "custom_parameters",
        ],
        Dialect::Plivo => [
            "streamId",
            "callId",
            "accountId",
            "mediaFormat",
            "sampleRate",
            "customParameters",
        ],
        Dialect::Exotel => [
            "stream_sid",
            "call_sid",
            "account_sid",
            "media_format",
            "sample_rate",
            "custom_parameters",
        ],
    };
    let [stream, call, account, format, rate, parameters] = names;
    Words {
        stream,
        call,
        account,
        format,
        rate,
        parameters,
    }
}

/// Bits of [`Report::kinds`] that a corpus reaches.
pub(crate) const ALL: u32 = 0xFFF;
const DIALECTS: [Dialect; 5] = [
    Dialect::Twilio,
    Dialect::SignalWire,
    Dialect::Telnyx,
    Dialect::Plivo,
    Dialect::Exotel,
];
const STREAM: &str = "MZ\"1";
const CALL: &str = "CA1";
const FORMAT: &str = r#"{"encoding":"ENCODING","sampleRate":8000,"sample_rate":8000}"#;
const MOST_STEPS: usize = 120;
/// Samples that tell a piece's number.
const DIGITS: usize = 8;
/// Telnyx: pieces that may wait for one before them, and how far a number may jump.
const HELD: usize = 4;
const FAR: u64 = 500;
/// Exotel: bytes of a message, and of what it is a multiple.
const LEAST: usize = 3_200;
const BLOCK: usize = 640;
