//! A caller who hears the agent out and answers what it said, as [`Talk`] has it. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::caller::calls::{Said, Talk};
use crate::caller::line::{Sent, Tick};
use crate::caller::{Course, Order, TraceEvent};

/// One call from the caller's side.
#[derive(Debug)]
pub(super) struct Conversation {
    talk: Talk,
    /// How often each line was spoken.
    spoken: Vec<usize>,
    phase: Phase,
    /// What the agent said, by the server's turns.
    replies: Vec<(u64, String)>,
    /// Nothing of the present reply was there when the caller spoke last.
    fresh: bool,
    /// The reply is over, by the server's account.
    over: bool,
    /// When something of the agent arrived or was heard last, or was about to come.
    last: Duration,
    turn: usize,
    /// Both sides, and what was heard of the caller, for people.
    pub(super) lines: Vec<String>,
}

#[derive(Debug)]
enum Phase {
    /// Until the agent has said something, and is done.
    Listening {
        deadline: Duration,
    },
    Speaking,
    Pressing {
        keys: VecDeque<char>,
        next: Duration,
    },
    Done,
}

impl Conversation {
    pub(super) fn new(talk: Talk) -> Self {
        Self {
            spoken: vec![0; talk.lines().len()],
            talk,
            phase: Phase::Listening { deadline: PATIENCE },
            replies: Vec::new(),
            fresh: false,
            over: false,
            last: Duration::ZERO,
            turn: 0,
            lines: Vec::new(),
        }
    }

    /// What the agent said, one reply each.
    pub(super) fn said(&self) -> Vec<String> {
        self.replies.iter().map(|(_, text)| text.clone()).collect()
    }

    fn listening(&mut self, now: Duration, drained: bool, deadline: Duration) -> Option<Order> {
        let since = now.saturating_sub(self.last);
        let told = self.fresh && drained && since >= if self.over { REACTION } else { QUIET };
        if told || now >= deadline {
            return Some(self.next(now));
        }
        None
    }

    fn next(&mut self, now: Duration) -> Order {
        let heard = self.replies.last().map_or("", |(_, text)| text.as_str());
        let Some(place) = self.talk.answer(heard) else {
            self.phase = Phase::Done;
            return Order::HangUp;
        };
        self.turn += 1;
        (self.fresh, self.over) = (false, false);
        match self.talk.lines()[place].said() {
            Said::Words { say, .. } => {
                self.lines.push(format!("caller: {say}"));
                self.phase = Phase::Speaking;
                // Nobody says a thing twice in the same way.
                let take = self.spoken[place] % TAKES;
                self.spoken[place] += 1;
                Order::Speak(place + take * self.talk.lines().len())
            }
            Said::Keys(keys) => {
                self.lines.push(format!("types:  {keys}"));
                let mut keys: VecDeque<char> = keys.chars().collect();
                let first = keys.pop_front().unwrap_or('#');
                self.phase = Phase::Pressing {
                    keys,
                    next: now + KEY_EVERY,
                };
                Order::Press(first)
            }
        }
    }
}

impl Course for Conversation {
    fn on_media(&mut self, now: Duration, _audible: bool) {
        self.last = now;
    }

    fn on_clear(&mut self, _now: Duration, _dropped_ms: usize) {}

    fn on_trace(&mut self, now: Duration, event: &TraceEvent) {
        match event {
            TraceEvent::Agent { turn, text } => {
                match self.replies.last_mut() {
                    Some((latest, reply)) if latest == turn => {
                        reply.push(' ');
                        reply.push_str(text);
                    }
                    _ => self.replies.push((*turn, text.clone())),
                }
                self.lines.push(format!("agent:  {text}"));
                (self.fresh, self.over, self.last) = (true, false, now);
            }
            TraceEvent::Caller { text, .. } => self.lines.push(format!("heard:  {text}")),
            TraceEvent::Turn { turn, .. } => {
                self.over |= self.replies.last().is_some_and(|(latest, _)| latest == turn);
            }
            TraceEvent::Heard { .. } | TraceEvent::End | TraceEvent::Unknown => {}
        }
    }

    fn on_tick(&mut self, now: Duration, tick: &Tick, drained: bool) -> Option<Order> {
        if tick.audible {
            self.last = now;
        }
        match &mut self.phase {
            Phase::Speaking if tick.kind == Sent::LastSpeech => {
                self.phase = Phase::Listening {
                    deadline: now + PATIENCE,
                };
                None
            }
            Phase::Pressing { keys, next } if now >= *next => {
                *next = now + KEY_EVERY;
                let key = keys.pop_front();
                if key.is_none() {
                    self.phase = Phase::Listening {
                        deadline: now + PATIENCE,
                    };
                }
                key.map(Order::Press)
            }
            Phase::Listening { deadline } => {
                let deadline = *deadline;
                self.listening(now, drained, deadline)
            }
            Phase::Speaking | Phase::Pressing { .. } | Phase::Done => None,
        }
    }

    fn turn(&self) -> usize {
        self.turn
    }
}

/// How often each line is spoken anew beforehand.
pub(super) const TAKES: usize = 2;
/// After the agent's last word; its own account has the end of the reply.
const REACTION: Duration = Duration::from_millis(400);
/// The same where the account does not come.
const QUIET: Duration = Duration::from_secs(4);
/// A caller who hears nothing for so long says something. The agent asks whether they are still there before that.
const PATIENCE: Duration = Duration::from_secs(60);
const KEY_EVERY: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::calls::CallSet;
    use crate::caller::line::SILENCE;

    fn conversation() -> Conversation {
        let set = CallSet::parse(
            "again = 'what'\n[[calls]]\nname = 'a'\nagent = 'x'\nexpect = {}\n\
             lines = [{ say = 'hello' }, { when = 'id', keys = '12#' }]",
        );
        let set = set.expect("a set");
        Conversation::new(Talk::new(&set.calls[0].lines, &[], &set.again))
    }

    fn tick(kind: Sent, audible: bool) -> Tick {
        Tick {
            sent: SILENCE,
            kind,
            played: SILENCE,
            audible,
            marks: Vec::new(),
        }
    }

    #[test]
    fn the_agent_is_heard_out_and_keys_are_pressed_one_by_one() {
        let mut course = conversation();
        let ms = Duration::from_millis;
        let agent = |turn, text: &str| TraceEvent::Agent {
            turn,
            text: text.to_owned(),
        };
        let ended = |turn| TraceEvent::Turn {
            turn,
            latency: serde_json::Map::new(),
        };
        let silent = tick(Sent::Silence, false);
        course.on_trace(ms(0), &agent(0, "Welcome."));
        assert_eq!(course.on_tick(ms(100), &tick(Sent::Silence, true), false), None);
        course.on_trace(ms(200), &ended(0));
        assert_eq!(course.on_tick(ms(300), &silent, true), None, "a person takes a moment");
        assert_eq!(course.on_tick(ms(500), &silent, true), Some(Order::Speak(0)));
        assert_eq!(course.on_tick(ms(900), &tick(Sent::LastSpeech, false), true), None);
        assert_eq!(course.on_tick(ms(9000), &silent, true), None, "no answer yet");
        course.on_trace(ms(9000), &agent(1, "Your id?"));
        course.on_trace(ms(9100), &agent(1, "Please."));
        assert_eq!(
            course.on_tick(ms(11_000), &silent, true),
            None,
            "its audio is still to come"
        );
        course.on_trace(ms(11_000), &ended(1));
        let pressed = (0..4).map(|n| course.on_tick(ms(12_000 + 250 * n), &silent, true));
        let pressed: Vec<_> = pressed.collect();
        let keys = ['1', '2', '#'].map(|key| Some(Order::Press(key)));
        assert_eq!((&pressed[..3], pressed[3]), (&keys[..], None));
        course.on_trace(ms(13_000), &agent(2, "Bye."));
        assert_eq!(course.on_tick(ms(18_000), &silent, true), Some(Order::HangUp));
        assert_eq!(course.said(), ["Welcome.", "Your id? Please.", "Bye."]);
    }
}
