//! What the driver has the engines hear: transcripts, and how finished a turn sounds.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::Driver;
use crate::call::work::{Done, Kind};
use crate::engine::Urgency;
use crate::speech::{Heard, Listen};
use crate::time::MediaTime;
use crate::turn::event::{Input, TurnId};

impl Driver<'_> {
    pub(super) fn transcribe(&mut self, turn: TurnId, from: MediaTime, to: MediaTime, said: String) {
        let audio = self.inbound.audio(from, to);
        let (engine, call) = (Arc::clone(&self.services.engine), self.call_sid.to_owned());
        let within = self.services.policy.transcribe_deadline;
        let urgency = self.urgency(turn);
        let dialog = self.dialog_at(self.lines() + 1);
        let listen = Listen {
            languages: self.languages.clone(),
            answers: dialog.answers(),
        };
        let today = self.services.today(dialog.agent());
        self.work.add(turn, Kind::Hearing, stream::once(async move {
            Done::Heard(match engine.transcribe(audio, listen, within, urgency).await {
                Ok(Heard { text, certainty, language }) => {
                    let progress = dialog.progress(format!("{said} {text}").trim(), today);
                    let spoken = language.unwrap_or_else(|| dialog.agent().language.code());
                    (language, Input::Transcript { turn, text, language: spoken, certainty, progress })
                }
                Err(error) => {
                    tracing::warn!(call, %turn, %error, "turn {turn} of call {call} could not be transcribed: {error}");
                    (None, Input::TranscribeFailed { turn })
                }
            })
        }));
    }

    /// Without a model, or if it fails, the other witnesses decide.
    pub(super) fn judge(&mut self, turn: TurnId, from: MediaTime, to: MediaTime) {
        let from = from.max(to.back(JUDGED));
        let audio = self.inbound.audio(from, to);
        let engine = Arc::clone(&self.services.engine);
        let within = self.services.policy.endpointing.max;
        let call = self.call_sid.to_owned();
        let judged = async move {
            match engine.end_of_turn(audio, within).await? {
                Ok(probability) => Some(Done::Input(Input::EndOfTurn { turn, probability })),
                Err(error) => {
                    tracing::debug!(call, %turn, %error, "the end of turn {turn} of call {call} was not judged: {error}");
                    None
                }
            }
        };
        self.work
            .add(turn, Kind::Hearing, stream::once(judged).filter_map(std::future::ready));
    }

    /// What a job for a turn is to carry. A reply that is taken up again is nobody's speculation.
    pub(super) fn urgency(&self, turn: TurnId) -> Urgency {
        if self.caller_turn.0 == turn {
            self.caller_turn.1.clone()
        } else {
            Urgency::now()
        }
    }
}

/// What the judge of a turn's end looks at.
const JUDGED: Duration = Duration::from_secs(8);
