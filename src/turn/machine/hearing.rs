//! The caller's side: when a turn begins, when a pause ends it, and what was said.

use std::time::{Duration, Instant};

use super::{Hearing, Machine, Pause, Speaker, State};
use crate::time::MediaTime;
use crate::turn::backchannel::{is_backchannel, is_unclear};
use crate::turn::endpoint::{Evidence, Reason, Words};
use crate::turn::event::{Action, Outcome, Progress, TurnId};
use crate::turn::ledger::{Ledger, stamp};
use crate::turn::policy::Speculation;
use crate::turn::reply::{Reply, Settled, Source, Standing};
use crate::turn::shape::{Shape, has_full_stop, shape};
use crate::turn::vad_gate::VadGate;

impl Machine {
    /// The gate has taken one more window of caller audio.
    pub(super) fn window(&mut self, now: Instant) {
        let (speech, sure) = (self.gate.speech(), self.gate.sure());
        let goes_on = speech >= self.policy.onset && !sure.is_zero();
        let interrupts = speech >= self.policy.barge_in_min && sure >= SURE_MIN;
        let grows = goes_on && self.may_grow();
        match &mut self.state {
            State::Listening if goes_on => {
                let from = self.gate_start();
                self.hear(from, Settled::default(), None, 0);
            }
            State::Hearing(hearing) if goes_on && hearing.pause != Pause::Fresh => self.forget_pause(),
            State::Hearing(_) => {
                self.endpoint(now);
                self.notice_pause(now);
            }
            // The caller goes on before hearing anything: one turn, transcribed again.
            State::Transcribing { .. } | State::Replying(_) if grows => self.take_back(),
            State::Replying(reply)
                if interrupts && reply.is_interruptible() && may_be_spoken_over(reply, &self.gate) =>
            {
                self.barge_in(now);
            }
            State::Transcribing { .. } | State::Replying(_) => self.endpoint(now),
            State::Waiting | State::Listening | State::Closed => {}
        }
    }

    /// Ends the caller's turn if its pause has lasted long enough for what is known of it, or the turn has.
    pub(super) fn endpoint(&mut self, now: Instant) {
        let (from, begun) = match &self.state {
            State::Hearing(hearing) => (hearing.from, None),
            State::Transcribing {
                hearing,
                standing: Standing::Speculative { voiced },
                ..
            } => (hearing.from, Some(*voiced)),
            State::Replying(Reply {
                standing: Standing::Speculative { voiced },
                from: Some(from),
                ..
            }) => (*from, Some(*voiced)),
            State::Waiting | State::Listening | State::Transcribing { .. } | State::Replying(_) | State::Closed => {
                return;
            }
        };
        let (delay, why) = self.policy.endpointing.decide(self.known());
        let reason = if !self.has_room(from) {
            Reason::MaxTurn
        } else if self.gate.silence() >= delay {
            why
        } else {
            return self.ask_held(now);
        };
        match (begun, &self.state) {
            (Some(voiced), _) => self.commit(voiced, reason, now),
            (None, State::Hearing(hearing)) => match hearing.pause {
                Pause::Dismissed { voiced } if self.gate.voiced() <= voiced + BLIP => self.dismiss(now),
                Pause::Fresh | Pause::Noticed | Pause::Dismissed { .. } => self.transcribe(Some(reason), now),
            },
            (None, _) => {}
        }
    }

    /// A request that was held back, because more words were likely, is made when they are late: most pauses are over by then.
    fn ask_held(&mut self, now: Instant) {
        let late = self.gate.silence() >= self.policy.endpointing.delay;
        let deadline = now + self.policy.reply_deadline;
        if let State::Replying(reply) = &mut self.state
            && reply.source == Source::Held
            && late
            && self.policy.speculation >= Speculation::Llm
        {
            reply.source = Source::Generating { deadline };
            let turn = reply.turn;
            self.ask(turn, now);
        }
    }

    /// Looks into a pause that may be the end: how it sounds, and, by speculation, what the answer would be.
    fn notice_pause(&mut self, now: Instant) {
        let (silence, to) = (self.gate.silence(), self.gate.now());
        let State::Hearing(hearing) = &mut self.state else {
            return;
        };
        if hearing.pause != Pause::Fresh || silence < self.policy.speculate_after {
            return;
        }
        (hearing.pause, hearing.paused) = (Pause::Noticed, Some(now));
        self.evidence = Evidence::default();
        if self.policy.endpointing.witnesses.hear_sound() {
            let (turn, from) = (hearing.turn, hearing.from);
            self.actions.push_back(Action::Judge { turn, from, to });
        }
        if self.policy.speculation > Speculation::Off {
            self.transcribe(None, now);
        }
    }

    pub(super) fn end_of_turn(&mut self, turn: TurnId, probability: f32, now: Instant) {
        let present = match &self.state {
            State::Hearing(hearing) | State::Transcribing { hearing, .. } => hearing.turn,
            State::Replying(reply) => reply.turn,
            State::Waiting | State::Listening | State::Closed => return,
        };
        if present == turn {
            self.evidence.sound = Some(probability).filter(|probability| !probability.is_nan());
            self.endpoint(now);
        }
    }

    /// What the endpoint may be decided on.
    fn known(&self) -> Evidence {
        match self.state {
            State::Transcribing { .. } => Evidence {
                words: Words::Awaited,
                ..self.evidence
            },
            State::Waiting | State::Listening | State::Hearing(_) | State::Replying(_) | State::Closed => self.evidence,
        }
    }

    /// The caller goes on: what the pause was judged to be is of no use for the next one, and neither is an answer to come.
    fn forget_pause(&mut self) {
        let next = self.new_turn();
        if let State::Hearing(hearing) = &mut self.state {
            let turn = std::mem::replace(&mut hearing.turn, next);
            (hearing.pause, hearing.paused) = (Pause::Fresh, None);
            self.actions.push_back(Action::Cancel { turn });
        }
    }

    /// Whether the caller's turn, on which work has begun, is not answered yet and may go on.
    fn may_grow(&self) -> bool {
        match &self.state {
            State::Transcribing { hearing, .. } => self.has_room(hearing.from),
            State::Replying(reply) => {
                let answers = reply.caller.is_some() && !reply.is_audible();
                answers && reply.from.is_some_and(|from| self.has_room(from))
            }
            State::Waiting | State::Listening | State::Hearing(_) | State::Closed => false,
        }
    }

    /// Whether a turn that began at `from` may still grow.
    pub(super) fn has_room(&self, from: MediaTime) -> bool {
        self.gate.now().since(from) < self.policy.max_turn
    }

    /// Where the present run of speech began, pre-roll included; but what is no longer kept is no part of a turn.
    pub(super) fn gate_start(&self) -> MediaTime {
        let start = self.gate.speech_start().back(self.policy.pre_roll);
        start.max(self.kept_from())
    }

    /// Caller audio from here on is kept although nobody has the floor because of it: the present run of speech, which may be
    /// long before it is certain, or before the agent has said a word that can be interrupted.
    pub(super) fn kept_from(&self) -> MediaTime {
        let (now, pre_roll) = (self.gate.now(), self.policy.pre_roll);
        let recent = now.back(pre_roll + SLACK);
        if self.gate.speech().is_zero() {
            recent
        } else {
            let start = self.gate.speech_start().back(pre_roll);
            recent.min(start.max(now.back(LONGEST_RUN)))
        }
    }

    /// The caller has the floor.
    pub(super) fn hear(&mut self, from: MediaTime, settled: Settled, interrupted: Option<Box<Reply>>, dropped: u32) {
        self.gate.restart();
        self.evidence = Evidence::default();
        let turn = self.new_turn();
        self.state = State::Hearing(Hearing {
            turn,
            from,
            settled,
            interrupted,
            pause: Pause::Fresh,
            paused: None,
            dropped,
        });
    }

    /// Asks what was said: for good if the turn is over, and then for a `reason`; otherwise on speculation.
    pub(super) fn transcribe(&mut self, reason: Option<Reason>, now: Instant) {
        let State::Hearing(hearing) = &mut self.state else {
            return;
        };
        let (interrupted, gate) = (hearing.interrupted.take(), &self.gate);
        let hearing = Hearing {
            interrupted,
            ..hearing.clone()
        };
        // More silence tells the transcriber nothing and costs it time.
        let voiced_to = gate
            .last_voiced()
            .map_or_else(|| gate.now(), |(end, _)| end.advance(TAIL));
        let to = voiced_to.min(gate.now());
        let turn = hearing.turn;
        let ledger = Ledger {
            last_voiced: gate.last_voiced().map(|(_, at)| at),
            pause: hearing.paused,
            transcribing: Some(now),
            endpoint: reason.map(|_| now),
            endpoint_reason: reason,
            sound: self.evidence.sound,
            dropped: hearing.dropped,
            ..Ledger::default()
        };
        self.actions.push_back(Action::Transcribe {
            turn,
            from: hearing.from.max(hearing.settled.to),
            to,
            said: hearing.settled.text.clone(),
            speculative: reason.is_none(),
        });
        let standing = if reason.is_some() {
            self.actions.push_back(Action::Commit { turn });
            Standing::Committed
        } else {
            Standing::Speculative { voiced: gate.voiced() }
        };
        let deadline = now + self.policy.transcribe_deadline;
        self.state = State::Transcribing {
            hearing,
            standing,
            to,
            deadline,
            ledger,
        };
    }

    pub(super) fn transcript(
        &mut self,
        turn: TurnId,
        tail: &str,
        language: &str,
        certainty: f32,
        progress: Option<Progress>,
        now: Instant,
    ) {
        let last_voiced = self.gate.last_voiced().map(|(end, _)| end);
        let State::Transcribing {
            hearing,
            standing,
            to,
            ledger,
            ..
        } = &mut self.state
        else {
            return;
        };
        if hearing.turn != turn {
            return;
        }
        let text = format!("{} {tail}", hearing.settled.text).trim().to_owned();
        // Who interrupts may mean nothing by it, unless the agent has just asked or a slot is awaited.
        let unasked = hearing.interrupted.as_deref().is_some_and(|reply| !reply.asked) && progress.is_none();
        let spoken = last_voiced.map_or(Duration::ZERO, |end| end.since(hearing.from));
        let length = spoken.saturating_sub(self.policy.pre_roll);
        let nothing = text.is_empty() || unasked && (is_backchannel(&text) || is_unclear(&text, certainty, length));
        if nothing {
            return match standing {
                Standing::Speculative { voiced } => {
                    let voiced = *voiced;
                    self.give_up_speculation(Pause::Dismissed { voiced });
                    self.evidence.words = Words::Empty;
                    self.endpoint(now);
                }
                Standing::Committed => self.dismiss(now),
            };
        }
        let (from, standing, to, mut ledger) = (hearing.from, *standing, *to, *ledger);
        let settled = std::mem::take(&mut hearing.settled);
        stamp(&mut ledger.transcribed, now);
        self.end_interrupted(Outcome::Interrupted, now);
        self.remember(Speaker::Caller, text.clone());
        self.prompted = 0;
        let shape = shape(&text, language);
        self.evidence.words = Words::Read {
            shape,
            stopped: has_full_stop(&text),
            progress,
        };
        // Where the words call for more, a request is likely to be wasted, and there is time for it after the longer delay.
        let promising = match progress {
            Some(Progress::Complete) => true,
            Some(Progress::Incomplete) => false,
            Some(Progress::Impossible) | None => shape == Shape::Finished,
        };
        let early = self.policy.speculation >= Speculation::Llm && promising;
        let held = standing != Standing::Committed && !early;
        let generating = Source::Generating {
            deadline: now + self.policy.reply_deadline,
        };
        self.state = State::Replying(Reply {
            from: Some(from),
            to,
            caller: Some(text),
            settled,
            standing,
            source: if held { Source::Held } else { generating },
            ledger,
            ..Reply::new(turn)
        });
        if !held {
            self.ask(turn, now);
        }
        self.endpoint(now);
    }

    /// The turn was no turn. What it cut off is said after all.
    fn dismiss(&mut self, now: Instant) {
        let (State::Hearing(hearing) | State::Transcribing { hearing, .. }) = &mut self.state else {
            return;
        };
        if let Some(reply) = hearing.interrupted.take() {
            self.resume(*reply, now);
        } else if self.gate.voiced() >= CLEARLY_SPEECH {
            self.prompted = 0;
            let text = self.phrases.not_heard.clone();
            self.say(text);
        } else {
            self.state = State::Listening;
        }
    }

    pub(super) fn transcribe_failed(&mut self, turn: TurnId, now: Instant) {
        let State::Transcribing {
            hearing,
            standing,
            to,
            ledger,
            ..
        } = &self.state
        else {
            return;
        };
        if hearing.turn != turn {
            return;
        }
        if *standing != Standing::Committed {
            return self.give_up_speculation(Pause::Noticed);
        }
        let (from, to, ledger) = (hearing.from, *to, *ledger);
        self.end_interrupted(Outcome::Interrupted, now);
        self.actions.push_back(Action::Cancel { turn });
        let mut reply = Reply {
            from: Some(from),
            to,
            outcome: Outcome::Failed,
            source: Source::Complete,
            ledger,
            ..Reply::new(turn)
        };
        reply.push(self.phrases.apology.clone());
        self.state = State::Replying(reply);
    }
}

/// Whether who speaks now speaks over a reply: they hear it, or it answers nothing spoken that they could be going on with.
/// What was being said when an answer was typed does not count, nor does "hello?" before the greeting is heard.
fn may_be_spoken_over(reply: &Reply, gate: &VadGate) -> bool {
    let began_since = reply.caller.is_none() || gate.speech_start() >= reply.to;
    reply.is_audible() || reply.from.is_none() && reply.turn != GREETING && began_since
}

/// The turn of the first words of the call.
pub(super) const GREETING: TurnId = TurnId(0);
/// What must be certain of the speech that stops the agent: beyond one answer of the second opinion.
const SURE_MIN: Duration = Duration::from_millis(40);
/// This much voiced audio without one word understood deserves an answer.
const CLEARLY_SPEECH: Duration = Duration::from_secs(1);
/// Line samples transcribed after the last voiced window: 300 ms, so that a soft ending is not cut.
const TAIL: u64 = 2_400;
/// Caller audio kept beyond the pre-roll: an onset is confirmed only after `onset`, and dropouts stretch it.
const SLACK: Duration = Duration::from_millis(1_000);
/// More of a run than this is no beginning of an answer.
const LONGEST_RUN: Duration = Duration::from_secs(10);
/// Voiced audio in a pause that is no going on, but may be a word.
pub(super) const BLIP: Duration = Duration::from_millis(20);
