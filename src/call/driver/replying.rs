//! What the driver has the agent say: the dialog's answer, sentence by sentence, as audio.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;

use super::beginning::phrases;
use super::{Driver, KEYPAD};
use crate::call::trace::TraceEvent;
use crate::call::work::{Done, Kind};
use crate::dialog::agent::Agent;
use crate::dialog::conversation::{CallerTurn, Ending, Said};
use crate::dialog::form::Dialog;
use crate::speech::Code;
use crate::speech::spoken::spoken_in;
use crate::turn::event::{HangupReason, Input, SentenceId, TurnId};
use crate::turn::machine::Speaker;

/// In what language a turn is answered.
pub(super) struct Tongue {
    pub(super) turn: TurnId,
    /// The one who speaks it.
    agent: Arc<Agent>,
    /// Enough was said to be sure of it.
    telling: bool,
    /// It was heard in this turn, which may still go on.
    unsettled: bool,
}

impl Driver<'_> {
    pub(super) fn generate(&mut self, turn: TurnId) {
        let call = self.call_sid.to_owned();
        let history = self.machine.history();
        let last = history.iter().rfind(|line| line.speaker == Speaker::Caller);
        let text = last.map_or("", |line| line.text.as_str());
        let keys = text.strip_prefix(KEYPAD);
        let words = text.split_whitespace().count();
        let line = self.lines();
        let mut dialog = self.dialog_at(line);
        let heard = CallerTurn {
            text: keys.unwrap_or(text).to_owned(),
            typed: keys.is_some(),
            history: history.iter().map(Into::into).collect(),
            today: self.services.today(dialog.agent()),
        };
        let heard_language = self.heard_language.take();
        if let Some(language) = heard_language {
            dialog.turn_to(language);
        }
        self.tongue = Some(Tongue {
            turn,
            agent: Arc::clone(dialog.agent()),
            // "Hello?" is the same in many languages.
            telling: heard_language.is_some() && words >= TELLING,
            unsettled: heard_language.is_some(),
        });
        if !self.speculating {
            self.settle_tongue();
        }
        self.counts = watch::Sender::new(!self.speculating);
        let answer = self
            .services
            .mind
            .answer(Arc::clone(&self.staff), dialog, heard, self.counts.subscribe());
        let answer = answer.map(move |said| match said {
            Said::FirstToken => Done::Input(Input::FirstToken { turn }),
            Said::Sentence(text) => Done::Input(Input::Sentence { turn, text }),
            Said::State(dialog) => Done::State { turn, line, dialog },
            Said::Acting => Done::Acting(turn),
            Said::Tool(tool) => Done::Tool { turn, tool },
            Said::Destination(number) => Done::Destination { turn, number },
            Said::End(ending) => Done::Input(Input::EndAfter {
                turn,
                reason: match ending {
                    Ending::Goodbye => HangupReason::Goodbye,
                    Ending::HandOver => HangupReason::HandOver,
                },
            }),
            Said::Failed(reason) => {
                tracing::warn!(call, %turn, reason, "turn {turn} of call {call} has no full reply: {reason}");
                Done::Input(Input::ReplyFailed { turn })
            }
        });
        // After a failure the machine ignores the end.
        let end = stream::once(std::future::ready(Done::Input(Input::ReplyDone { turn })));
        self.work.add(turn, Kind::Reply, answer.chain(end));
    }

    /// The state from which the caller's line number `line` is answered. A language that is settled stays so, even if the
    /// turn in which it was heard has left no state.
    pub(super) fn dialog_at(&self, line: usize) -> Dialog {
        let mut dialog = self.standing.at(line).clone();
        if let Some(language) = self.settled_language() {
            dialog.turn_to(language);
        }
        dialog
    }

    fn settled_language(&self) -> Option<Code> {
        match self.languages.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The caller's language is known, in a turn that counts: nothing else is listened for from here on.
    pub(super) fn settle_tongue(&mut self) {
        let Some(tongue) = self.tongue.as_mut().filter(|tongue| tongue.unsettled) else {
            return;
        };
        tongue.unsettled = false;
        self.machine.set_phrases(phrases(&tongue.agent));
        if tongue.telling {
            self.languages = vec![tongue.agent.language.code()];
        }
    }

    /// In what a turn's sentences are spoken.
    fn voice(&self, turn: TurnId) -> Code {
        match &self.tongue {
            Some(tongue) if tongue.turn == turn => tongue.agent.language.code(),
            Some(_) | None => self
                .settled_language()
                .unwrap_or_else(|| self.standing.agent().language.code()),
        }
    }

    pub(super) fn synthesize(&mut self, sentence: SentenceId, text: String) {
        let turn = sentence.turn;
        self.tell(TraceEvent::Agent {
            turn: turn.0,
            text: text.clone(),
        });
        let (engine, call) = (Arc::clone(&self.services.engine), self.call_sid.to_owned());
        let within = self.services.policy.synthesize_deadline;
        let urgency = self.urgency(turn);
        let language = self.voice(turn);
        self.work.add(turn, Kind::Voice, stream::once(async move {
            match engine.synthesize(spoken_in(&text, language), language, within, urgency).await {
                Ok(spoken) => Done::Audio { sentence, spoken },
                Err(error) => {
                    tracing::warn!(call, %turn, %error, "a sentence of turn {turn} of call {call} has no audio: {error}");
                    Done::Input(Input::SynthesizeFailed { sentence })
                }
            }
        }));
    }
}

/// Words after which a language is taken to be known for the rest of the call.
const TELLING: usize = 3;
