//! The figures of `tieline bench latency`: from the reports of calls to percentiles, a table and JSON.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::clips::Clip;
use super::load::Cores;
use super::stats::Summary;
use super::wer::Errors;
use crate::caller::Report;
use crate::caller::report::Turn;

/// One placed call: what was said, and what came of it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) clips: Vec<Clip>,
    /// The report, or why the call did not come through.
    pub(super) outcome: Result<Report, String>,
}

/// All that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) calls: usize,
    /// Turns that were to be spoken.
    pub(super) turns: usize,
    pub(super) answered: usize,
    /// Turns in which the agent began to speak before the caller had ended.
    pub(super) cut_ins: usize,
    /// Milliseconds a stage, without the turns that were cut into.
    stages: Vec<Stage>,
    pub(super) greeting_ms: Summary,
    pub(super) webhook_ms: Summary,
    /// The latest any caller was with a frame.
    worst_lag_ms: f64,
    words: usize,
    word_edits: usize,
    word_error_percent: Option<f64>,
    seconds: f64,
    foreign_cores: Option<f64>,
    own_cores: Option<f64>,
    cores: usize,
    clean: Option<bool>,
    pub(super) errors: Vec<String>,
    #[serde(rename = "each")]
    spoken: Vec<Value>,
}

#[derive(Debug, Serialize)]
struct Stage {
    name: &'static str,
    #[serde(flatten)]
    summary: Summary,
}

/// Around the calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings {
    pub(super) elapsed: Duration,
    pub(super) load: Option<Cores>,
    pub(super) cores: usize,
}

impl Figures {
    pub(super) fn of(calls: &[Call], around: Surroundings) -> Self {
        let reports: Vec<&Report> = calls.iter().filter_map(|call| call.outcome.as_ref().ok()).collect();
        let turns: Vec<&Turn> = reports.iter().flat_map(|report| &report.turns).collect();
        let clean: Vec<&Turn> = turns.iter().copied().filter(|turn| !turn.cut_in).collect();
        let stages = STAGES.iter().map(|(name, source)| Stage {
            name,
            summary: Summary::of(clean.iter().filter_map(|turn| source.of(turn)).collect()),
        });
        let errors = word_errors(calls);
        let foreign = around.load.map(|load| thousandth(load.foreign));
        Self {
            calls: calls.len(),
            turns: calls.iter().map(|call| call.clips.len()).sum(),
            answered: turns.iter().filter(|turn| turn.audible_ms.is_some()).count(),
            cut_ins: turns.iter().filter(|turn| turn.cut_in).count(),
            stages: stages.collect(),
            greeting_ms: Summary::of(
                reports
                    .iter()
                    .filter_map(|report| report.greeting.voice_to_voice_ms)
                    .collect(),
            ),
            webhook_ms: Summary::of(reports.iter().filter_map(|report| report.webhook_ms).collect()),
            worst_lag_ms: reports.iter().map(|report| report.worst_lag_ms).fold(0.0, f64::max),
            words: errors.words,
            word_edits: errors.edits,
            word_error_percent: (errors.words > 0).then(|| thousandth(errors.percent())),
            seconds: thousandth(around.elapsed.as_secs_f64()),
            foreign_cores: foreign,
            own_cores: around.load.map(|load| thousandth(load.own)),
            cores: around.cores,
            clean: foreign.map(|foreign| foreign <= CLEAN_CORES),
            errors: faults(calls),
            spoken: each(calls),
        }
    }

    /// Voice-to-voice as the caller measures it.
    pub(super) fn voice_to_voice(&self) -> Summary {
        let stage = self.stages.iter().find(|stage| stage.name == VOICE_TO_VOICE);
        stage.map(|stage| stage.summary).unwrap_or_default()
    }

    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "{:<22} {:>5} {:>8} {:>8} {:>8} {:>8}\n",
            "ms", "n", "p50", "p95", "p99", "max"
        );
        for Stage { name, summary } in &self.stages {
            line(&mut text, name, summary);
        }
        line(&mut text, "greeting", &self.greeting_ms);
        line(&mut text, "webhook", &self.webhook_ms);
        let _ = writeln!(
            text,
            "\nturns answered {} of {} in {} calls; cut-ins {}",
            self.answered, self.turns, self.calls, self.cut_ins
        );
        let _ = match self.word_error_percent {
            Some(percent) => writeln!(
                text,
                "word error {percent:.1} % ({} of {} words)",
                self.word_edits, self.words
            ),
            None => writeln!(text, "word error unknown: no trace, or no texts"),
        };
        let _ = write!(text, "worst client lag {:.1} ms; ", self.worst_lag_ms);
        let _ = match (self.foreign_cores, self.own_cores) {
            (Some(foreign), Some(own)) => writeln!(
                text,
                "of {} cores busy: {own:.2} with this program, {foreign:.2} with others{}",
                self.cores,
                if self.clean == Some(true) { "" } else { " (not clean)" }
            ),
            _ => writeln!(text, "{} cores, load unknown", self.cores),
        };
        if !self.errors.is_empty() {
            let _ = writeln!(text, "\n{} errors:", self.errors.len());
            for error in &self.errors {
                let _ = writeln!(text, "  {error}");
            }
        }
        text
    }
}

/// Where a stage's time is found in a turn.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// A key of the server's ledger.
    Ledger(&'static str),
    /// Last speech frame sent → first audible message received.
    Arrived,
    /// Last speech frame sent → first audible frame played.
    Heard,
}

impl Source {
    fn of(self, turn: &Turn) -> Option<f64> {
        match self {
            Self::Ledger(key) => turn.ledger.as_ref()?.get(key)?.as_f64(),
            Self::Arrived => turn.voice_to_voice_ms,
            Self::Heard => turn.audible_ms,
        }
    }
}

fn line(text: &mut String, name: &str, summary: &Summary) {
    let _ = write!(text, "{name:<22} {:>5}", summary.n);
    for value in [summary.p50, summary.p95, summary.p99, summary.max] {
        let _ = match value {
            Some(ms) => write!(text, " {ms:>8.0}"),
            None => write!(text, " {:>8}", "-"),
        };
    }
    text.push('\n');
}

/// What the server understood against what was said, in calls that have a trace.
fn word_errors(calls: &[Call]) -> Errors {
    let mut errors = Errors::default();
    for call in calls {
        let Ok(report) = &call.outcome else { continue };
        let traced = report.greeting.ledger.is_some() || report.turns.iter().any(|turn| turn.caller_text.is_some());
        if !traced {
            continue;
        }
        for (turn, clip) in report.turns.iter().zip(&call.clips) {
            if let Some(text) = &clip.text {
                errors.add(Errors::between(text, turn.caller_text.as_deref().unwrap_or("")));
            }
        }
    }
    errors
}

fn faults(calls: &[Call]) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        let errors = match &call.outcome {
            Ok(report) => report.errors.as_slice(),
            Err(error) => std::slice::from_ref(error),
        };
        faults.extend(errors.iter().map(|error| format!("call {}: {error}", index + 1)));
    }
    faults
}

fn each(calls: &[Call]) -> Vec<Value> {
    let mut each = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        let Ok(report) = &call.outcome else { continue };
        for (turn, clip) in report.turns.iter().zip(&call.clips) {
            let mut row = Map::from_iter([
                ("call".to_owned(), json!(index + 1)),
                ("speech_s".to_owned(), json!(thousandth(f64::from(clip.seconds())))),
                ("text".to_owned(), json!(clip.text)),
            ]);
            if let Ok(Value::Object(turn)) = serde_json::to_value(turn) {
                row.extend(turn);
            }
            each.push(Value::Object(row));
        }
    }
    each
}

fn thousandth(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

const STAGES: [(&str, Source); 8] = [
    ("endpoint", Source::Ledger("endpoint_ms")),
    ("STT", Source::Ledger("stt_ms")),
    ("LLM first token", Source::Ledger("llm_first_token_ms")),
    ("LLM first sentence", Source::Ledger("llm_first_sentence_ms")),
    ("TTS first audio", Source::Ledger("tts_first_audio_ms")),
    ("voice-to-voice, server", Source::Ledger("voice_to_voice_ms")),
    (VOICE_TO_VOICE, Source::Arrived),
    ("heard here", Source::Heard),
];

const VOICE_TO_VOICE: &str = "voice-to-voice, here";

/// With others busier than this, the figures are theirs too.
const CLEAN_CORES: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Utterance;
    use crate::caller::report::{Greeting, Recording};

    fn turn(measured: f64, cut_in: bool, text: Option<&str>) -> Turn {
        Turn {
            cut_in,
            caller_text: text.map(str::to_owned),
            voice_to_voice_ms: Some(measured),
            audible_ms: Some(measured + 5.0),
            ledger: Some(Map::from_iter([("endpoint_ms".to_owned(), json!(measured / 2.0))])),
            ..Turn::default()
        }
    }

    fn call(turns: Vec<Turn>, errors: &[&str]) -> Call {
        let clip = Clip {
            utterance: Utterance {
                label: "clip".to_owned(),
                frames: vec![[0; 160]; 50],
            },
            text: Some("hello there".to_owned()),
        };
        Call {
            clips: vec![clip; 2],
            outcome: Ok(Report {
                call_sid: "CA1".to_owned(),
                greeting: Greeting::default(),
                turns,
                errors: errors.iter().map(|error| (*error).to_owned()).collect(),
                seconds: 9.0,
                webhook_ms: Some(2.0),
                worst_lag_ms: 1.5,
                recording: Recording::default(),
            }),
        }
    }

    fn around(foreign: f64) -> Surroundings {
        Surroundings {
            elapsed: Duration::from_secs(10),
            load: Some(Cores { foreign, own: 0.5 }),
            cores: 2,
        }
    }

    #[test]
    fn cut_ins_are_counted_and_left_out_of_the_latencies() {
        let turns = vec![
            turn(600.0, false, Some("Hello there.")),
            turn(10.0, true, Some("hello")),
        ];
        let figures = Figures::of(&[call(turns, &[])], around(0.02));
        assert_eq!((figures.turns, figures.answered, figures.cut_ins), (2, 2, 1));
        assert_eq!(
            (figures.voice_to_voice().n, figures.voice_to_voice().p95),
            (1, Some(600.0))
        );
        assert_eq!((figures.words, figures.word_edits), (4, 1));
        assert_eq!(figures.clean, Some(true));
        let json = serde_json::to_value(&figures).expect("JSON");
        assert_eq!(json["stages"][0]["name"], "endpoint");
        assert_eq!(json["stages"][0]["p50"], 300.0);
        assert_eq!(json["each"][1]["cut_in"], true);
        assert_eq!(json["each"][0]["speech_s"], 1.0);
    }

    #[test]
    fn errors_name_their_call() {
        let good = call(vec![turn(600.0, false, None)], &["turn 2: no answer"]);
        let bad = Call {
            clips: good.clips.clone(),
            outcome: Err("the webhook gave no answer".to_owned()),
        };
        let figures = Figures::of(&[good, bad], around(0.3));
        assert_eq!(
            figures.errors,
            ["call 1: turn 2: no answer", "call 2: the webhook gave no answer"]
        );
        assert_eq!((figures.turns, figures.answered), (4, 1));
        assert_eq!(figures.word_error_percent, None);
        let table = figures.table();
        assert!(table.contains("0.30 with others (not clean)"), "{table}");
        assert!(table.contains("turns answered 1 of 4 in 2 calls; cut-ins 0"), "{table}");
    }
}
