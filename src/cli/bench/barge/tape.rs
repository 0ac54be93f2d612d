//! What happened in a call, 20 ms by 20 ms, and what can be read from it. Pure.

use std::time::Duration;

use super::super::stats::Summary;
use crate::caller::TraceEvent;
use serde::Serialize;

/// All that is known of a call besides its audio. Times count from the `start` message.
#[derive(Debug, Default)]
pub(super) struct Tape {
    pub(super) beats: Vec<Beat>,
    pub(super) clears: Vec<Clear>,
    pub(super) spoken: Vec<Spoken>,
    pub(super) traced: Vec<(Duration, TraceEvent)>,
}

/// 20 ms, as they were played.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beat {
    pub(super) at: Duration,
    /// The agent can be heard.
    pub(super) audible: bool,
}

/// The agent threw its audio away.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clear {
    pub(super) at: Duration,
    /// So many beats had been played.
    pub(super) beat: usize,
    /// How much of it nobody had heard.
    pub(super) dropped_ms: usize,
}

/// Something the caller said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spoken {
    /// Its place among the call's utterances.
    pub(super) clip: usize,
    /// It was said into the agent's words.
    pub(super) intrusion: bool,
    /// The beat at which the present answer, or after a cut its rest, had become audible.
    pub(super) answer_from: Option<usize>,
    /// The beat of its first frame.
    pub(super) beat: usize,
    pub(super) began: Option<Duration>,
    pub(super) ended: Option<Duration>,
}

/// An intrusion and what the agent did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reaction {
    /// Place in [`Tape::spoken`].
    pub(super) spoken: usize,
    pub(super) began: Duration,
    /// The first `clear` that it brought, as a place in [`Tape::clears`].
    pub(super) clear: Option<usize>,
    pub(super) clear_ms: Option<f64>,
    /// To the last frame heard before 200 ms without sound; only of an agent that cleared.
    pub(super) stop_ms: Option<f64>,
    /// From the `clear` to the next audible frame, if there is one before the caller's next words.
    pub(super) again_ms: Option<f64>,
    /// The beat of that frame.
    pub(super) again: Option<usize>,
}

impl Tape {
    /// The intrusions that were begun, each with the agent's reaction up to `late` after its end.
    pub(super) fn reactions(&self, late: Duration) -> Vec<Reaction> {
        let intrusions = self.spoken.iter().enumerate().filter(|(_, spoken)| spoken.intrusion);
        intrusions
            .filter_map(|(place, spoken)| self.reaction(place, spoken, late))
            .collect()
    }

    fn reaction(&self, place: usize, spoken: &Spoken, late: Duration) -> Option<Reaction> {
        let (began, ended) = (spoken.began?, spoken.ended?);
        let next = self.spoken.get(place + 1).and_then(|next| next.began);
        let until = next.unwrap_or(Duration::MAX).min(ended + late);
        let clear = self
            .clears
            .iter()
            .position(|clear| clear.at >= began && clear.at < until);
        let mut reaction = Reaction {
            spoken: place,
            began,
            clear,
            clear_ms: None,
            stop_ms: None,
            again_ms: None,
            again: None,
        };
        if let Some(clear) = clear.map(|clear| self.clears[clear]) {
            reaction.clear_ms = Some(millis(clear.at.saturating_sub(began)));
            reaction.stop_ms = self.stop(spoken.beat, began, clear.at).map(millis);
            let after = self.beats.iter().enumerate().skip(clear.beat);
            let again = after
                .take_while(|(_, beat)| next.is_none_or(|next| beat.at < next))
                .find(|(_, beat)| beat.audible);
            reaction.again_ms = again.map(|(_, beat)| millis(beat.at.saturating_sub(clear.at)));
            reaction.again = again.map(|(place, _)| place);
        }
        Some(reaction)
    }

    /// The last audible frame before 200 ms of nothing that do not end before the `clear`.
    fn stop(&self, first: usize, began: Duration, cleared: Duration) -> Option<Duration> {
        let mut last = began;
        for beat in &self.beats[first.min(self.beats.len())..] {
            if beat.audible {
                last = beat.at;
            } else if beat.at >= cleared && beat.at.saturating_sub(last) >= STOPPED {
                return Some(last.saturating_sub(began));
            }
        }
        None
    }

    /// The clears that no words of the caller account for: none within the call's speech and `SETTLED` after it.
    pub(super) fn unprovoked(&self) -> Vec<Clear> {
        let provoked = |clear: &Clear| {
            self.spoken.iter().any(|spoken| {
                let ended = spoken.ended.unwrap_or(Duration::MAX);
                spoken
                    .began
                    .is_some_and(|began| clear.at >= began && clear.at <= ended.saturating_add(SETTLED))
            })
        };
        self.clears.iter().filter(|clear| !provoked(clear)).copied().collect()
    }

    /// Seconds in which the agent could be heard.
    pub(super) fn audible_seconds(&self) -> f64 {
        self.beats.iter().filter(|beat| beat.audible).count() as f64 * 0.02
    }

    /// Utterances of the caller that were followed by audible words before the next.
    pub(super) fn answered(&self) -> usize {
        let answered = |(place, spoken): &(usize, &Spoken)| {
            let Some(ended) = spoken.ended else { return false };
            let next = self.spoken.get(place + 1).and_then(|next| next.began);
            let mut after = self.beats[spoken.beat.min(self.beats.len())..].iter();
            after.any(|beat| beat.audible && beat.at > ended && next.is_none_or(|next| beat.at < next))
        };
        self.spoken.iter().enumerate().filter(answered).count()
    }

    /// The server's turns beyond one for each utterance; `None` without a trace.
    pub(super) fn unasked(&self) -> Option<Unasked> {
        if self.traced.is_empty() {
            return None;
        }
        let mut seen: Vec<(u64, usize)> = Vec::new();
        let mut unasked = Unasked::default();
        for (at, event) in &self.traced {
            let (turn, spoke) = match event {
                TraceEvent::Caller { turn, .. } => (*turn, false),
                TraceEvent::Agent { turn, .. } => (*turn, true),
                TraceEvent::Heard { .. } | TraceEvent::Turn { .. } | TraceEvent::End | TraceEvent::Unknown => continue,
            };
            if turn == 0 {
                continue;
            }
            let begun = |spoken: &&Spoken| spoken.began.is_some_and(|began| began <= *at);
            let utterances = self.spoken.iter().filter(begun).count();
            let extra = match seen.iter().position(|(known, _)| *known == turn) {
                Some(place) => place,
                None => {
                    seen.push((turn, utterances));
                    seen.len() - 1
                }
            };
            let (_, asked) = seen[extra];
            let first = asked > 0 && seen.iter().position(|(_, other)| *other == asked) == Some(extra);
            if !first && !unasked.ids.contains(&turn) {
                unasked.ids.push(turn);
                unasked.turns += 1;
            }
            if !first && spoke && !unasked.spoken_ids.contains(&turn) {
                unasked.spoken_ids.push(turn);
                unasked.answers += 1;
            }
        }
        Some(unasked)
    }

    /// The server's turn whose words were last given to the voice before a moment.
    pub(super) fn turn_at(&self, moment: Duration) -> Option<u64> {
        let before = self.traced.iter().take_while(|(at, _)| *at <= moment);
        let agents = before.filter_map(|(_, event)| match event {
            TraceEvent::Agent { turn, .. } => Some(*turn),
            TraceEvent::Caller { .. }
            | TraceEvent::Heard { .. }
            | TraceEvent::Turn { .. }
            | TraceEvent::End
            | TraceEvent::Unknown => None,
        });
        agents.last()
    }

    /// What the server believes was heard of a turn: the first it says about it after a moment.
    pub(super) fn believed(&self, turn: u64, moment: Duration) -> Option<&str> {
        self.traced.iter().find_map(|(at, event)| match event {
            TraceEvent::Heard { turn: of, text } if *of == turn && *at >= moment => Some(text.as_str()),
            TraceEvent::Heard { .. }
            | TraceEvent::Caller { .. }
            | TraceEvent::Agent { .. }
            | TraceEvent::Turn { .. }
            | TraceEvent::End
            | TraceEvent::Unknown => None,
        })
    }

    /// What the server gave to the voice in a turn.
    pub(super) fn written(&self, turn: u64) -> String {
        let mut text = String::new();
        for (_, event) in &self.traced {
            if let TraceEvent::Agent { turn: of, text: part } = event
                && *of == turn
            {
                text.push_str(part);
                text.push(' ');
            }
        }
        text
    }
}

/// Turns that nobody asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Unasked {
    /// In which the server understood something or spoke.
    pub(super) turns: usize,
    /// In which it spoke.
    pub(super) answers: usize,
    #[serde(skip)]
    ids: Vec<u64>,
    #[serde(skip)]
    spoken_ids: Vec<u64>,
}

/// A summary of what is known of some values.
pub(super) fn known(values: impl Iterator<Item = Option<f64>>) -> Summary {
    Summary::of(values.flatten().collect())
}

pub(super) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

/// Without sound for so long, the agent has stopped. As in the independent client.
const STOPPED: Duration = Duration::from_millis(200);

/// A `clear` this long after the caller's last word may still answer to it.
const SETTLED: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Ten seconds, the agent audible in the given spans of ms.
    fn tape(audible: &[(u64, u64)]) -> Tape {
        let beat = |n: u64| Beat {
            at: ms(n * 20),
            audible: audible.iter().any(|&(from, to)| (from..to).contains(&(n * 20))),
        };
        Tape {
            beats: (0..500).map(beat).collect(),
            ..Tape::default()
        }
    }

    fn said(began: u64, ended: u64, intrusion: bool) -> Spoken {
        Spoken {
            clip: 0,
            intrusion,
            answer_from: None,
            beat: (began / 20) as usize,
            began: Some(ms(began)),
            ended: Some(ms(ended)),
        }
    }

    fn clear(at: u64) -> Clear {
        Clear {
            at: ms(at),
            beat: (at / 20) as usize + 1,
            dropped_ms: 400,
        }
    }

    fn agent(at: u64, turn: u64) -> (Duration, TraceEvent) {
        let text = format!("words of {turn}");
        (ms(at), TraceEvent::Agent { turn, text })
    }

    #[test]
    fn a_reaction_counts_from_the_first_frame_of_the_intrusion() {
        // A pause of the agent at 1.5 s is no stop; it is cleared at 2190, and goes on at 3 s.
        let mut tape = tape(&[(500, 1500), (1800, 2200), (3000, 4000)]);
        tape.spoken = vec![said(1400, 2400, true), said(5000, 6000, true)];
        tape.clears = vec![clear(1000), clear(2190)];
        let [first, second] = tape.reactions(ms(3000))[..] else {
            panic!("two reactions")
        };
        assert_eq!((first.clear, first.clear_ms), (Some(1), Some(790.0)));
        assert_eq!(first.stop_ms, Some(780.0));
        assert_eq!((first.again_ms, first.again), (Some(810.0), Some(150)));
        assert_eq!((second.clear, second.clear_ms, second.stop_ms), (None, None, None));
    }

    #[test]
    fn what_was_already_silent_stopped_at_once() {
        let mut tape = tape(&[(500, 1380)]);
        tape.spoken = vec![said(1400, 2400, true)];
        tape.clears = vec![clear(1600)];
        assert_eq!(tape.reactions(ms(3000))[0].stop_ms, Some(0.0));
    }

    #[test]
    fn clears_within_and_just_after_speech_are_provoked() {
        let mut tape = tape(&[(0, 9000)]);
        tape.spoken = vec![said(1000, 2000, false)];
        tape.clears = [900, 1100, 2400, 2600].into_iter().map(clear).collect();
        let at: Vec<u128> = tape.unprovoked().iter().map(|clear| clear.at.as_millis()).collect();
        assert_eq!(at, [900, 2600]);
        assert!((tape.audible_seconds() - 9.0).abs() < 1e-6);
    }

    #[test]
    fn one_turn_for_each_question_is_asked_for() {
        let mut tape = tape(&[(3000, 4000)]);
        assert_eq!(tape.unasked(), None);
        tape.spoken = vec![said(1000, 2000, false), said(6000, 7000, false)];
        // Turn 1 before any question; 2 is the first answer, with two sentences; 3 is nobody's; 4 answers the second.
        tape.traced = vec![
            agent(100, 0),
            agent(500, 1),
            agent(2500, 2),
            agent(2700, 2),
            agent(4000, 3),
            agent(7500, 4),
        ];
        tape.traced.push((
            ms(8000),
            TraceEvent::Caller {
                turn: 5,
                text: "hm".to_owned(),
            },
        ));
        let unasked = tape.unasked().expect("traced");
        assert_eq!((unasked.turns, unasked.answers), (3, 2));
        assert_eq!(tape.answered(), 1);
    }

    #[test]
    fn the_servers_belief_is_found_by_its_turn() {
        let mut tape = tape(&[]);
        let heard = |text: &str| TraceEvent::Heard {
            turn: 2,
            text: text.to_owned(),
        };
        tape.traced = vec![
            agent(500, 1),
            agent(2500, 2),
            (ms(3000), heard("words")),
            agent(3500, 3),
            (ms(9000), heard("words of 2")),
        ];
        assert_eq!((tape.turn_at(ms(2600)), tape.turn_at(ms(100))), (Some(2), None));
        assert_eq!(tape.believed(2, ms(2600)), Some("words"));
        assert_eq!(tape.believed(3, ms(0)), None);
        assert_eq!(tape.written(2), "words of 2 ");
    }
}
