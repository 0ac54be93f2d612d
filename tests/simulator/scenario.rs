//! A call as text. One line each:
//!
//! ```text
//! caller 2.0-3.5 "what are your hours"     speech, in seconds, and what the transcriber makes of it
//! caller 2.0-2.8 "five five" incomplete    the same, and the awaited slot's parser says complete, incomplete or impossible of it
//! caller 2.0-2.4 "in a" 0.3                 the same, and so certain the transcriber is of it
//! noise 4.0-4.3                            voiced, but nothing is understood
//! rustle 4.0-9.0                           seems voiced to the quick detector, and the second opinion does not agree
//! echo 4.0-4.5                             our own audio coming back
//! reply "We are open." "Until five."       sentences of the next reply; the last reply serves for all further turns
//! stt 150 / llm 200 / next 100 / tts 80    latencies in ms: transcript, first sentence, each further one, synthesis
//! marks 20                                 how late a mark comes back, in ms; or: marks never
//! fail stt | llm | llm-late | llm-empty | tts | tts-once | tts-later     from here on (or once)
//! hold 5.0-6.0                             the network delivers the audio of this time in one burst at its end
//! lost 5.0-8.0                             the audio of this time never comes
//! speculation full                         policy: off, stt, llm or full
//! endpoint 500 / endpoint 300 500 1500     policy: ENDPOINT_DELAY in ms, alone or between min and max
//! sound 0.1 50                             how finished every turn sounds, and how long it takes to say so in ms
//! prompt 5.0 2                             policy: SILENCE_PROMPT, SILENCE_PROMPTS
//! notice "This call is recorded."          said first; cannot be interrupted
//! keys 5.0 "12345"                         the caller has typed it
//! speak 5.0 "Hold on."                      somebody outside has the agent say it
//! leave 5.0 "A person takes over."         the agent says it, whatever is being said, and the call is handed over
//! stay 9.0 "Nobody is free."               nobody could take the call over
//! max-call 6.0 / max-turn 9.0              policy: MAX_CALL, MAX_TURN
//! ends                                     the call ends when the last reply was heard
//! hangup 9.0                               the caller hangs up
//! until 12.0                               the simulation ends
//! ```

use tieline::turn::event::{HangupReason, Input, Progress, Voice};
use tieline::turn::policy::Speculation;

/// One call to simulate. Times in ms.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) speech: Vec<Speech>,
    pub(crate) replies: Vec<Vec<String>>,
    pub(crate) stt: u64,
    pub(crate) llm: u64,
    pub(crate) next: u64,
    pub(crate) tts: u64,
    pub(crate) marks: Option<u64>,
    pub(crate) fail: Option<Fail>,
    pub(crate) held: Option<(u64, u64)>,
    pub(crate) lost: Option<(u64, u64)>,
    pub(crate) speculation: Speculation,
    /// Min, delay, max.
    pub(crate) endpoint: [u64; 3],
    pub(crate) sound: Option<(f32, u64)>,
    pub(crate) prompt: Option<(u64, u32)>,
    pub(crate) max_call: u64,
    pub(crate) max_turn: u64,
    pub(crate) notice: String,
    /// When the caller has typed what.
    pub(crate) keys: Vec<(u64, String)>,
    /// What is ordered from outside when.
    pub(crate) orders: Vec<(u64, Input)>,
    /// Whether the call ends after the last reply.
    pub(crate) ends: bool,
    /// Which cancellations come too late, by their bits: what was asked for is answered all the same.
    pub(crate) uncancelled: u64,
    pub(crate) hangup: Option<u64>,
    pub(crate) until: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Speech {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) text: String,
    pub(crate) voice: Voice,
    pub(crate) progress: Option<Progress>,
    pub(crate) certainty: f32,
}

impl Speech {
    pub(crate) fn new(from: u64, to: u64, text: &str) -> Self {
        Self {
            from,
            to,
            text: text.to_owned(),
            voice: Voice::Sure,
            progress: None,
            certainty: 1.0,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fail {
    Stt,
    Llm,
    LlmLate,
    LlmEmpty,
    Tts,
    TtsOnce,
    /// After the greeting and the first sentence.
    TtsLater,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            speech: Vec::new(),
            replies: vec![vec!["Sure, I can help with that.".to_owned()]],
            stt: 150,
            llm: 200,
            next: 100,
            tts: 80,
            marks: Some(20),
            fail: None,
            held: None,
            lost: None,
            speculation: Speculation::Full,
            endpoint: [500, 500, 500],
            sound: None,
            prompt: None,
            max_call: 600_000,
            max_turn: 60_000,
            notice: String::new(),
            keys: Vec::new(),
            orders: Vec::new(),
            ends: false,
            uncancelled: 0,
            hangup: None,
            until: 15_000,
        }
    }
}

impl Scenario {
    pub(crate) fn parse(text: &str) -> Self {
        let mut scenario = Self::default();
        let mut replies = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "caller" => {
                    let (times, said) = rest.split_once(' ').expect("times and text");
                    let (from, to) = span(times);
                    let (said, rest) = said.rsplit_once('"').expect("text in quotes");
                    let certainty = rest.trim().parse().ok();
                    scenario.speech.push(Speech {
                        progress: certainty.map_or_else(|| progress_of(rest.trim()), |_| None),
                        certainty: certainty.unwrap_or(1.0),
                        ..Speech::new(from, to, said.trim_matches('"'))
                    });
                }
                "noise" | "rustle" | "echo" => {
                    let (from, to) = span(rest);
                    let voice = match word {
                        "noise" => Voice::Sure,
                        "rustle" => Voice::Maybe,
                        _ => Voice::Echo,
                    };
                    scenario.speech.push(Speech {
                        voice,
                        ..Speech::new(from, to, "")
                    });
                }
                "reply" => replies.push(
                    rest.split('"')
                        .filter(|part| !part.trim().is_empty())
                        .map(str::to_owned)
                        .collect(),
                ),
                "stt" => scenario.stt = ms(rest),
                "llm" => scenario.llm = ms(rest),
                "next" => scenario.next = ms(rest),
                "tts" => scenario.tts = ms(rest),
                "marks" => scenario.marks = (rest != "never").then(|| ms(rest)),
                "fail" => {
                    scenario.fail = Some(match rest {
                        "stt" => Fail::Stt,
                        "llm" => Fail::Llm,
                        "llm-late" => Fail::LlmLate,
                        "llm-empty" => Fail::LlmEmpty,
                        "tts" => Fail::Tts,
                        "tts-once" => Fail::TtsOnce,
                        "tts-later" => Fail::TtsLater,
                        other => panic!("no failure {other}"),
                    });
                }
                "hold" => scenario.held = Some(span(rest)),
                "lost" => scenario.lost = Some(span(rest)),
                "speculation" => {
                    scenario.speculation = match rest {
                        "off" => Speculation::Off,
                        "stt" => Speculation::Stt,
                        "llm" => Speculation::Llm,
                        "full" => Speculation::Full,
                        other => panic!("no speculation {other}"),
                    };
                }
                "endpoint" => {
                    let all: Vec<u64> = rest.split(' ').map(ms).collect();
                    scenario.endpoint = all.try_into().unwrap_or_else(|one: Vec<u64>| [one[0]; 3]);
                }
                "sound" => {
                    let (probability, after) = rest.split_once(' ').expect("probability and ms");
                    scenario.sound = Some((probability.parse().expect("0 to 1"), ms(after)));
                }
                "prompt" => {
                    let (after, times) = rest.split_once(' ').expect("seconds and a count");
                    scenario.prompt = Some((seconds(after), times.parse().expect("a count")));
                }
                "max-call" => scenario.max_call = seconds(rest),
                "max-turn" => scenario.max_turn = seconds(rest),
                "notice" => scenario.notice = rest.trim_matches('"').to_owned(),
                "keys" => {
                    let (at, text) = rest.split_once(' ').expect("seconds and keys");
                    scenario.keys.push((seconds(at), text.trim_matches('"').to_owned()));
                }
                "speak" | "leave" | "stay" => {
                    let (at, text) = rest.split_once(' ').expect("seconds and a text");
                    let text = text.trim_matches('"').to_owned();
                    let order = match word {
                        "speak" => Input::Speak { text },
                        "stay" => Input::Stay { text },
                        _ => Input::Leave {
                            text,
                            reason: HangupReason::HandOver,
                        },
                    };
                    scenario.orders.push((seconds(at), order));
                }
                "ends" => scenario.ends = true,
                "hangup" => scenario.hangup = Some(seconds(rest)),
                "until" => scenario.until = seconds(rest),
                other => panic!("no line {other}"),
            }
        }
        if !replies.is_empty() {
            scenario.replies = replies;
        }
        scenario
    }
}

fn progress_of(word: &str) -> Option<Progress> {
    match word {
        "" => None,
        "complete" => Some(Progress::Complete),
        "incomplete" => Some(Progress::Incomplete),
        "impossible" => Some(Progress::Impossible),
        other => panic!("no progress {other}"),
    }
}

fn span(text: &str) -> (u64, u64) {
    let (from, to) = text.trim().split_once('-').expect("from-to");
    (seconds(from), seconds(to))
}

fn seconds(text: &str) -> u64 {
    (text.trim().parse::<f64>().expect("seconds") * 1_000.0).round() as u64
}

fn ms(text: &str) -> u64 {
    text.trim().parse().expect("milliseconds")
}
