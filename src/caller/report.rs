//! What a simulated call brought: measures, texts, faults, the recording, and the table of latencies.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::line::Frame;
use super::script::{Measure, Script};
use super::trace::ServerTurn;
use super::{Held, Utterance};
use crate::audio::mulaw;

/// The outcome of a call that came through.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The call's id, as in the webhook.
    pub call_sid: String,
    /// What the agent said first.
    pub greeting: Greeting,
    /// The caller's turns, in order.
    pub turns: Vec<Turn>,
    /// Faults of the server, each once, with their number; empty on a good call.
    pub errors: Vec<String>,
    /// Length of the stream in seconds.
    pub seconds: f64,
    /// Time the webhook took to answer; absent when the stream was dialled directly.
    pub webhook_ms: Option<f64>,
    /// The latest this client was with a frame. Over some tens of ms, the machine was too busy to measure.
    pub worst_lag_ms: f64,
    /// Both sides of the call.
    #[serde(skip)]
    pub recording: Recording,
}

/// The agent's first contribution, measured from the `start` message.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Greeting {
    /// What the agent said, from the trace.
    pub agent_text: Option<String>,
    /// What of it was played, from the trace.
    pub agent_heard: Option<String>,
    /// Until its first audible audio arrived.
    pub voice_to_voice_ms: Option<f64>,
    /// Until it could be heard.
    pub audible_ms: Option<f64>,
    /// The server's ledger.
    pub ledger: Option<Map<String, Value>>,
}

/// One turn of the caller and its answer.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Turn {
    /// Counted from 1.
    pub turn: usize,
    /// The text that was said, or the name of the wav.
    pub caller_said: String,
    /// What the server understood, from the trace.
    pub caller_text: Option<String>,
    /// What the agent answered, from the trace.
    pub agent_text: Option<String>,
    /// What of it was played, from the trace.
    pub agent_heard: Option<String>,
    /// The agent began to speak before the caller had ended.
    pub cut_in: bool,
    /// The turn was spoken into the agent's answer.
    pub barge: bool,
    /// From the first frame of a barge-in to the agent's `clear`.
    pub barge_to_clear_ms: Option<f64>,
    /// From the last speech frame sent to the first audible message received.
    pub voice_to_voice_ms: Option<f64>,
    /// From the last speech frame sent to the first audible frame played.
    pub audible_ms: Option<f64>,
    /// The server's ledger.
    pub ledger: Option<Map<String, Value>>,
}

impl Greeting {
    pub(super) fn new(measure: &Measure, server: ServerTurn) -> Self {
        Self {
            agent_text: server.agent,
            agent_heard: server.heard,
            voice_to_voice_ms: measure.voice_to_voice().map(millis),
            audible_ms: measure.audible().map(millis),
            ledger: server.ledger,
        }
    }
}

impl Turn {
    pub(super) fn new(turn: usize, said: &str, measure: &Measure, server: ServerTurn) -> Self {
        Self {
            turn,
            caller_said: said.to_owned(),
            caller_text: server.caller,
            agent_text: server.agent,
            agent_heard: server.heard,
            cut_in: measure.cut_in,
            barge: measure.barge,
            barge_to_clear_ms: measure.barge_to_clear().map(millis),
            voice_to_voice_ms: measure.voice_to_voice().map(millis),
            audible_ms: measure.audible().map(millis),
            ledger: server.ledger,
        }
    }
}

impl Report {
    /// Reads what a script measured against what the trace told.
    pub(super) fn new(held: Held<Script>, utterances: &[Utterance]) -> Self {
        let measures = held.course.measures();
        let mut errors = held.errors;
        let mut turns = Vec::with_capacity(utterances.len());
        for (turn, (measure, utterance)) in measures[1..].iter().zip(utterances).enumerate() {
            let turn = turn + 1;
            if measure.ended.is_none() {
                errors.push(format!(
                    "turn {turn}: the server closed the stream before the caller had spoken"
                ));
                break;
            }
            if measure.heard.is_none() {
                errors.push(format!("turn {turn}: no answer"));
            }
            turns.push(Turn::new(turn, &utterance.label, measure, held.transcript.about(turn)));
        }
        Self {
            call_sid: held.call_sid,
            greeting: Greeting::new(&measures[0], held.transcript.about(0)),
            turns,
            errors,
            seconds: held.seconds,
            webhook_ms: held.webhook_ms,
            worst_lag_ms: held.worst_lag_ms,
            recording: held.recording,
        }
    }

    /// The per-turn latencies in milliseconds, with a row of medians.
    ///
    /// The first columns are the server's ledger; the last two are measured here. The medians leave the greeting, turns
    /// in which the agent cut in, and unknown values out.
    pub fn latency_table(&self) -> String {
        let greeting = cells(
            self.greeting.ledger.as_ref(),
            self.greeting.voice_to_voice_ms,
            self.greeting.audible_ms,
        );
        let mut rows = vec![("greeting".to_owned(), greeting, "")];
        let mut columns: Vec<Vec<f64>> = vec![Vec::new(); COLUMNS.len()];
        for turn in &self.turns {
            let cells = cells(turn.ledger.as_ref(), turn.voice_to_voice_ms, turn.audible_ms);
            if !turn.cut_in {
                for (column, cell) in columns.iter_mut().zip(&cells) {
                    column.extend(cell);
                }
            }
            let note = match (turn.cut_in, turn.barge, turn.audible_ms) {
                (true, ..) => "cut in",
                (false, true, _) => "barge-in",
                (false, false, None) => "no answer",
                (false, false, Some(_)) => "",
            };
            rows.push((turn.turn.to_string(), cells, note));
        }
        rows.push(("median".to_owned(), columns.into_iter().map(median).collect(), ""));

        let mut table = format!("{:<8}", "turn");
        for (title, _) in COLUMNS {
            let _ = write!(table, "  {title:>11}");
        }
        table.push('\n');
        for (name, cells, note) in rows {
            let _ = write!(table, "{name:<8}");
            for cell in cells {
                let _ = match cell {
                    Some(ms) => write!(table, "  {ms:>11.0}"),
                    None => write!(table, "  {:>11}", "-"),
                };
            }
            let _ = writeln!(table, "{}{note}", if note.is_empty() { "" } else { "  " });
        }
        table
    }
}

/// Both sides of a call as the caller had them: sent, and played.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    frames: Vec<(Frame, Frame)>,
}

impl Recording {
    pub(super) fn push(&mut self, caller: Frame, agent: Frame) {
        self.frames.push((caller, agent));
    }

    /// The agent's side as it was played, from one 20 ms frame to before another, in 16-bit samples.
    pub fn agent(&self, frames: Range<usize>) -> Vec<i16> {
        let end = frames.end.min(self.frames.len());
        let played = self.frames.get(frames.start..end).unwrap_or_default();
        played
            .iter()
            .flat_map(|(_, agent)| agent.iter().map(|&byte| mulaw::decode(byte)))
            .collect()
    }

    /// The samples of both sides, caller first.
    pub fn samples(&self) -> impl Iterator<Item = [i16; 2]> + '_ {
        self.frames
            .iter()
            .flat_map(|(caller, agent)| caller.iter().zip(agent))
            .map(|(&caller, &agent)| [mulaw::decode(caller), mulaw::decode(agent)])
    }

    /// Writes a 16-bit 8 kHz stereo wav: caller left, agent right.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn write_wav(&self, path: &Path) -> Result<(), hound::Error> {
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 8000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec)?;
        for sample in self.samples().flatten() {
            writer.write_sample(sample)?;
        }
        writer.finalize()
    }
}

/// The ledger's columns, then the two measured here.
fn cells(ledger: Option<&Map<String, Value>>, voice_to_voice: Option<f64>, audible: Option<f64>) -> Vec<Option<f64>> {
    let mut cells: Vec<Option<f64>> = COLUMNS
        .iter()
        .map(|(_, key)| ledger.and_then(|ledger| ledger.get(*key)?.as_f64()))
        .collect();
    let measured = cells.len() - 2;
    cells[measured] = voice_to_voice;
    cells[measured + 1] = audible;
    cells
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (
        values.get(values.len().checked_sub(1)? / 2)?,
        values.get(values.len() / 2)?,
    );
    Some(f64::midpoint(*low, *high))
}

/// Milliseconds to one decimal.
pub(super) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

/// Title and ledger key of each column.
const COLUMNS: [(&str, &str); 7] = [
    ("endpoint", "endpoint_ms"),
    ("STT", "stt_ms"),
    ("LLM first", "llm_first_token_ms"),
    ("TTS first", "tts_first_audio_ms"),
    ("v2v server", "voice_to_voice_ms"),
    ("v2v here", ""),
    ("heard here", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(turn: usize, endpoint: Value, measured: Option<f64>, cut_in: bool) -> Turn {
        let ledger = Map::from_iter([("endpoint_ms".to_owned(), endpoint)]);
        Turn {
            turn,
            cut_in,
            voice_to_voice_ms: measured,
            audible_ms: measured,
            ledger: Some(ledger),
            ..Turn::default()
        }
    }

    #[test]
    fn the_table_has_a_row_per_turn_and_medians() {
        let report = Report {
            call_sid: "CA1".to_owned(),
            greeting: Greeting {
                voice_to_voice_ms: Some(81.4),
                ..Greeting::default()
            },
            turns: vec![
                turn(1, Value::from(600), Some(812.3), false),
                turn(2, Value::from(640.5), Some(900.0), false),
                turn(3, Value::Null, None, false),
                turn(4, Value::from(10), Some(20.0), true),
            ],
            errors: Vec::new(),
            seconds: 12.0,
            webhook_ms: None,
            worst_lag_ms: 0.4,
            recording: Recording::default(),
        };
        let table = report.latency_table();
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["greeting", "-", "-", "-", "-", "-", "81", "-"]);
        assert_eq!(rows[2], ["1", "600", "-", "-", "-", "-", "812", "812"]);
        assert_eq!(rows[4], ["3", "-", "-", "-", "-", "-", "-", "-", "no", "answer"]);
        assert_eq!(rows[5], ["4", "10", "-", "-", "-", "-", "20", "20", "cut", "in"]);
        assert_eq!(rows[6], ["median", "620", "-", "-", "-", "-", "856", "856"]);
        let json = serde_json::to_value(&report).expect("JSON");
        assert_eq!(json["turns"][0]["voice_to_voice_ms"], 812.3);
        assert!(json.get("recording").is_none());
    }

    #[test]
    fn a_median_of_nothing_is_nothing() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
    }

    #[test]
    fn the_wav_has_the_caller_left_and_the_agent_right() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("call.wav");
        let mut recording = Recording::default();
        recording.push([0x10; 160], [0xFF; 160]);
        recording.write_wav(&path).expect("written");
        let mut reader = hound::WavReader::open(&path).expect("wav");
        assert_eq!(
            (reader.spec().channels, reader.spec().sample_rate, reader.len()),
            (2, 8000, 320)
        );
        assert_eq!(recording.agent(0..9), [0; 160]);
        assert!(recording.agent(1..9).is_empty() && recording.agent(5..9).is_empty());
        let samples: Vec<i16> = reader.samples().collect::<Result<_, _>>().expect("samples");
        assert_eq!(samples[..2], [mulaw::decode(0x10), 0]);
    }
}
