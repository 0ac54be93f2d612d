//! What is told of a turn: to those who watch, to the log, to the record.

use std::time::{Duration, Instant};

use super::Line;
use super::phase::Phase;
use crate::call::driver::telling::log_line;
use crate::call::trace::TraceEvent;
use crate::dialog::conversation::ToolRecord;
use crate::telemetry::latency::TurnLatency;
use crate::turn::event::{Outcome, TurnId, TurnSummary};
use crate::turn::ledger::Ledger;
use crate::turn::machine::{self, Speaker};

/// What is to be written down of a turn.
pub(super) struct Tale {
    pub(super) turn: TurnId,
    pub(super) caller: Option<String>,
    pub(super) said: Vec<String>,
    /// Of these, so many were handed out, and so many are known to be heard.
    pub(super) given: usize,
    pub(super) heard: usize,
    pub(super) outcome: Outcome,
    pub(super) ledger: Ledger,
    pub(super) first_sent: Option<Instant>,
}

impl Line {
    /// The carrier goes on, so it has played what it was given.
    pub(super) fn given_is_heard(&mut self) {
        let Some(tale) = &mut self.tale else { return };
        tale.heard = tale.given;
        if !matches!(self.phase, Phase::Answering { .. }) {
            self.end_tale(None);
        }
    }

    pub(super) fn all_heard(&mut self) {
        if let Some(tale) = &mut self.tale {
            tale.heard = tale.said.len();
        }
    }

    /// The latest turn is over, with this outcome or its own.
    pub(super) fn end_tale(&mut self, outcome: Option<Outcome>) {
        let Some(tale) = self.tale.take() else { return };
        let heard = tale.said[..tale.heard].join(" ");
        let summary = TurnSummary {
            turn: tale.turn,
            caller: tale.caller,
            heard: heard.clone(),
            outcome: outcome.unwrap_or(tale.outcome),
            caller_audio: Duration::ZERO,
            ledger: Ledger {
                first_sent: tale.first_sent,
                ..tale.ledger
            },
        };
        self.turns += 1;
        self.record.turn(&summary);
        self.record.about(self.talk.dialog.filled());
        let (turn, latency) = (summary.turn, TurnLatency::from(&summary.ledger));
        let (call, outcome) = (self.live.call_sid(), summary.outcome.name());
        tracing::info!(
            call,
            %turn,
            outcome,
            stt_ms = latency.stt_ms,
            llm_first_token_ms = latency.llm_first_token_ms,
            tts_first_audio_ms = latency.tts_first_audio_ms,
            "turn {turn} {outcome}",
        );
        let number = turn.0;
        if !heard.is_empty() {
            self.talk.history.push(machine::Line {
                speaker: Speaker::Agent,
                text: heard.clone(),
            });
        }
        self.live.trace.emit(|| TraceEvent::Heard {
            turn: number,
            text: heard,
        });
        self.live.trace.emit(|| TraceEvent::Turn {
            turn: number,
            outcome: outcome.to_owned(),
            latency,
        });
    }

    pub(super) fn tell(&self, event: TraceEvent) {
        if self.shared.services.log_transcripts {
            log_line(self.live.call_sid(), &event);
        }
        self.live.trace.emit(|| event);
    }

    pub(super) fn ran(&mut self, turn: TurnId, tool: &ToolRecord) {
        let call = self.live.call_sid();
        let (name, outcome) = (tool.call.tool.clone(), tool.result.outcome.clone());
        let took_ms = tool.took.as_millis() as u64;
        tracing::info!(call, %turn, tool = name, outcome, took_ms, "turn {turn} ran {name}: {outcome}");
        self.record.tool(turn, tool);
        self.tell(TraceEvent::Tool {
            turn: turn.0,
            tool: name,
            args: tool.call.args.clone().into(),
            outcome,
            took_ms,
        });
    }
}
