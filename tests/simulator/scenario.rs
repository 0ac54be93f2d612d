//! A call as text. One line each:
//!
//! ```text
//! caller 2.0-3.5 "what are your hours"     speech, in seconds, and what the transcriber makes of it
//! noise 4.0-4.3                            voiced, but nothing is understood
//! reply "We are open." "Until five."       sentences of the next reply; the last reply serves for all further turns
//! stt 150 / llm 200 / next 100 / tts 80    latencies in ms: transcript, first sentence, each further one, synthesis
//! marks 20                                 how late a mark comes back, in ms; or: marks never
//! fail stt | llm | llm-late | llm-empty | tts | tts-once     from here on (or once)
//! hold 5.0-6.0                             the network delivers the audio of this time in one burst at its end
//! lost 5.0-8.0                             the audio of this time never comes
//! speculation full                         policy: off, stt, llm or full
//! endpoint 500                             policy: ENDPOINT_DELAY in ms
//! hangup 9.0                               the caller hangs up
//! until 12.0                               the simulation ends
//! ```

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
    pub(crate) endpoint: u64,
    pub(crate) hangup: Option<u64>,
    pub(crate) until: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Speech {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fail {
    Stt,
    Llm,
    LlmLate,
    LlmEmpty,
    Tts,
    TtsOnce,
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
            endpoint: 500,
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
                    scenario.speech.push(Speech {
                        from,
                        to,
                        text: said.trim_matches('"').to_owned(),
                    });
                }
                "noise" => {
                    let (from, to) = span(rest);
                    scenario.speech.push(Speech {
                        from,
                        to,
                        text: String::new(),
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
                "endpoint" => scenario.endpoint = ms(rest),
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
