//! What is told of a call: to those who watch it, to the log, to the record.

use super::{Driver, now};
use crate::call::drain::LAST_TOOL;
use crate::call::end::CallEnd;
use crate::call::trace::TraceEvent;
use crate::call::work::Done;
use crate::dialog::conversation::ToolRecord;
use crate::telemetry::latency::TurnLatency;
use crate::turn::event::{Action, Input, Outcome, TurnId, TurnSummary};
use crate::turn::machine::Speculated;

impl Driver<'_> {
    pub(super) fn turn_ended(&mut self, summary: &TurnSummary) {
        self.turns += 1;
        self.record.turn(summary);
        self.record.about(self.standing.dialog().filled());
        // Whoever interrupts may be correcting what no recording may hold.
        if summary.outcome != Outcome::Interrupted {
            self.show(summary.turn);
        }
        let (turn, latency) = (summary.turn, TurnLatency::from(&summary.ledger));
        let outcome = summary.outcome.name();
        self.trace.emit(|| TraceEvent::Heard {
            turn: turn.0,
            text: summary.heard.clone(),
        });
        self.trace.emit(|| TraceEvent::Turn {
            turn: turn.0,
            outcome: outcome.to_owned(),
            latency: latency.clone(),
        });
        tracing::info!(
            call = self.call_sid,
            %turn,
            outcome,
            voice_to_voice_ms = latency.voice_to_voice_ms,
            endpoint_ms = latency.endpoint_ms,
            endpoint_reason = latency.endpoint_reason,
            stt_ms = latency.stt_ms,
            llm_first_token_ms = latency.llm_first_token_ms,
            tts_first_audio_ms = latency.tts_first_audio_ms,
            suspected_cut_off = latency.suspected_cut_off,
            "turn {turn} {outcome}",
        );
    }

    /// Tells what is said, as soon as it is certain that it counts.
    pub(super) fn tell(&mut self, event: TraceEvent) {
        self.untold.push(event);
        if !self.speculating {
            self.commit();
        }
    }

    /// The present turn counts: its work is urgent, and what was said is told.
    pub(super) fn commit(&mut self) {
        self.speculating = false;
        self.caller_turn.1.raise();
        self.counts.send_replace(true);
        self.standing.commit();
        self.hide();
        self.settle_tongue();
        for event in std::mem::take(&mut self.untold) {
            self.tell_now(event);
        }
    }

    fn tell_now(&self, event: TraceEvent) {
        if self.services.log_transcripts {
            log_line(self.call_sid, &event);
        }
        self.trace.emit(|| event);
    }

    /// A tool has run, which it does only in a turn that counts, whatever the caller says meanwhile.
    pub(super) fn ran(&mut self, turn: TurnId, tool: &ToolRecord) {
        let (name, outcome) = (tool.call.tool.clone(), tool.result.outcome.clone());
        let took_ms = tool.took.as_millis() as u64;
        self.tell_now(TraceEvent::Tool {
            turn: turn.0,
            tool: name.clone(),
            args: tool.call.args.clone().into(),
            outcome: outcome.clone(),
            took_ms,
        });
        tracing::info!(call = self.call_sid, %turn, tool = name, outcome, took_ms, "turn {turn} ran {name}: {outcome}");
        self.record.tool(turn, tool);
    }

    /// A tool that runs is not stopped half-way: what comes of it is waited for, for a while, and written down. No other one begins.
    async fn last_tool(&mut self) {
        self.counts.send_replace(false);
        let ran = async {
            loop {
                let done = tokio::select! {
                    biased;
                    done = self.work.next() => done,
                    // By then all that is there was looked at.
                    () = tokio::task::yield_now(), if self.acting.is_none() => return,
                };
                match done {
                    Some(Done::Acting(turn)) => self.acting = Some(turn),
                    Some(Done::Tool { turn, tool }) => {
                        self.acting = None;
                        self.ran(turn, &tool);
                    }
                    Some(_) => {}
                    None => return,
                }
            }
        };
        if tokio::time::timeout(LAST_TOOL, ran).await.is_err() {
            let call = self.call_sid;
            tracing::error!(
                call,
                "a tool still runs {} s after the end of call {call}: what comes of it is not written down",
                LAST_TOOL.as_secs()
            );
        }
    }

    /// Nothing goes to the line any more; what was said on it is still told and written down.
    fn close(&mut self) {
        self.machine.handle(Input::Stop, now());
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Commit { .. } => self.commit(),
                Action::TurnEnded(summary) => self.turn_ended(&summary),
                Action::Transcribe { .. }
                | Action::Judge { .. }
                | Action::Purge
                | Action::Generate { .. }
                | Action::Synthesize { .. }
                | Action::Queue { .. }
                | Action::Send { .. }
                | Action::SendMark(_)
                | Action::Clear
                | Action::Hush { .. }
                | Action::Cancel { .. }
                | Action::Hangup(_) => {}
            }
        }
    }

    pub(super) async fn finish(mut self, end: CallEnd) -> CallEnd {
        self.close();
        self.last_tool().await;
        let goes_on = self.seat.is_taken_over();
        if !goes_on {
            self.trace.emit(|| TraceEvent::End);
        }
        let Speculated { used, wasted } = self.machine.speculated();
        tracing::info!(
            call = self.call_sid,
            turns = self.turns,
            speculations_used = used,
            speculations_wasted = wasted,
            end = ?end,
            "call {} ended",
            self.call_sid
        );
        let record = async {
            if goes_on {
                self.record.leave().await;
            } else {
                self.record.end(end).await;
            }
        };
        tokio::join!(record, self.tap.end());
        end
    }
}

/// The conversation as people read it; only where `LOG_TRANSCRIPTS` asks for it.
pub(in crate::call) fn log_line(call: &str, event: &TraceEvent) {
    match event {
        TraceEvent::Caller { turn, text } => tracing::info!(call, turn, "[USER] {text}"),
        TraceEvent::Agent { turn, text } => tracing::info!(call, turn, "[ASSISTANT] {text}"),
        TraceEvent::Tool {
            turn,
            tool,
            args,
            outcome,
            took_ms,
        } => tracing::info!(call, turn, "[TOOL] {tool} {args}: {outcome} ({took_ms} ms)"),
        TraceEvent::Heard { .. } | TraceEvent::Turn { .. } | TraceEvent::End => {}
    }
}
