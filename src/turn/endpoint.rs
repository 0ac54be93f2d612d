//! Endpointing: how long a pause of the caller must last to be the end of the turn.
//!
//! Three witnesses, each optional: the *sound* of the turn's end (smart-turn), the *shape* of its words, and the parser
//! of the *slot* the agent waits for. Without any of them the delay is [`Endpointing::delay`].

use std::time::Duration;

use crate::turn::event::Progress;
use crate::turn::shape::Shape;

/// The bounds of the delay, and who is heard on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpointing {
    /// The delay when it is certain that the caller has finished.
    pub min: Duration,
    /// The delay when nothing is known.
    pub delay: Duration,
    /// The delay when it is certain that the caller has not finished: nobody waits for ever.
    pub max: Duration,
    /// Which witnesses are heard.
    pub witnesses: Witnesses,
}

/// Which witnesses are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witnesses {
    /// None: the delay is always the same.
    Silence,
    /// The sound of the turn's end.
    Sound,
    /// Its words, and the awaited slot.
    Words,
    /// All of them.
    All,
}

impl Witnesses {
    /// Whether the sound is asked.
    pub fn hear_sound(self) -> bool {
        matches!(self, Self::Sound | Self::All)
    }

    /// Whether the words are asked.
    pub fn read_words(self) -> bool {
        matches!(self, Self::Words | Self::All)
    }
}

/// What is known of the present pause.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Evidence {
    /// How finished the turn sounds, 0 to 1.
    pub sound: Option<f32>,
    /// What was said.
    pub words: Words,
}

/// What is known of the words of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Words {
    /// Nobody asks for them before the endpoint.
    #[default]
    Unasked,
    /// The transcript is under way.
    Awaited,
    /// The transcript is here.
    Read {
        /// How it ends.
        shape: Shape,
        /// Whether it has a full stop there.
        stopped: bool,
        /// What the awaited slot's parser says of it; `None` if no slot is awaited.
        progress: Option<Progress>,
    },
    /// Nothing that needs an answer: noise, or a backchannel.
    Empty,
}

/// Why a pause was taken as the end of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nothing was known but the silence.
    Silence,
    /// It sounded finished, or unfinished and then the caller said no more.
    Sound,
    /// The words called for more, and no more came.
    Words,
    /// The awaited slot was complete.
    SlotComplete,
    /// The awaited slot was incomplete, and no more came.
    SlotIncomplete,
    /// There was nothing to wait for.
    Empty,
    /// The turn has reached its greatest length.
    MaxTurn,
}

impl Reason {
    /// Lower-case name for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Sound => "sound",
            Self::Words => "words",
            Self::SlotComplete => "slot-complete",
            Self::SlotIncomplete => "slot-incomplete",
            Self::Empty => "empty",
            Self::MaxTurn => "max-turn",
        }
    }
}

impl Endpointing {
    /// How long the pause must last, and what says so.
    pub fn decide(&self, evidence: Evidence) -> (Duration, Reason) {
        let sound = evidence.sound.filter(|_| self.witnesses.hear_sound());
        let by_sound = sound.map_or((self.delay, Reason::Silence), |sound| {
            (self.by_sound(sound), Reason::Sound)
        });
        if !self.witnesses.read_words() {
            return by_sound;
        }
        let at_least = |delay: Duration| {
            if by_sound.0 >= delay {
                by_sound
            } else {
                (delay, Reason::Words)
            }
        };
        match evidence.words {
            Words::Unasked => by_sound,
            // The answer needs the transcript, so waiting for it costs nothing; and it may say that there is more to come.
            Words::Awaited => (self.max, Reason::Silence),
            Words::Empty => (self.min, Reason::Empty),
            Words::Read {
                progress: Some(Progress::Complete),
                ..
            } => (self.min, Reason::SlotComplete),
            Words::Read {
                progress: Some(Progress::Incomplete),
                ..
            } => (self.max, Reason::SlotIncomplete),
            Words::Read { shape, stopped, .. } => match shape {
                // The sound may shorten the delay of a whole sentence, and lengthen that of half a one.
                Shape::Finished if stopped => (by_sound.0.min(self.delay), by_sound.1),
                Shape::Finished => at_least(self.delay),
                Shape::Open => at_least(self.max),
                Shape::Reciting => at_least((self.delay + self.max) / 2),
            },
        }
    }

    /// What sounds unfinished waits longer, but not as long as what is unfinished by its words: one in three whole turns
    /// sounds unfinished, one in four pauses finished (`tieline bench turns`).
    ///
    /// One half is no knowledge, so it leads to the same delay as none.
    fn by_sound(&self, sound: f32) -> Duration {
        let certainty = f64::from((sound.clamp(0.0, 1.0) - 0.5) * 2.0);
        if certainty >= 0.0 {
            self.delay
                .saturating_sub(self.delay.saturating_sub(self.min).mul_f64(certainty))
        } else {
            self.delay + (self.max.saturating_sub(self.delay) / DOUBT).mul_f64(-certainty)
        }
    }
}

/// How much of the way to the longest delay the sound alone can lead: one part in so many.
const DOUBT: u32 = 3;

impl Default for Endpointing {
    fn default() -> Self {
        Self {
            min: Duration::from_millis(350),
            delay: Duration::from_millis(600),
            max: Duration::from_millis(2_000),
            witnesses: Witnesses::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(shape: Shape, progress: Option<Progress>) -> Words {
        Words::Read {
            shape,
            stopped: true,
            progress,
        }
    }

    const HALF: Words = Words::Read {
        shape: Shape::Finished,
        stopped: false,
        progress: None,
    };

    #[test]
    fn every_witness_moves_the_delay_its_way() {
        let all = Endpointing {
            min: Duration::from_millis(300),
            delay: Duration::from_millis(500),
            max: Duration::from_millis(1_500),
            witnesses: Witnesses::All,
        };
        let finished = read(Shape::Finished, None);
        let rows = [
            (None, Words::Unasked, 500, Reason::Silence),
            (Some(0.5), Words::Unasked, 500, Reason::Sound),
            (Some(1.0), finished, 300, Reason::Sound),
            (Some(0.75), finished, 400, Reason::Sound),
            (Some(0.25), Words::Unasked, 666, Reason::Sound),
            (Some(0.0), Words::Unasked, 833, Reason::Sound),
            (Some(0.0), finished, 500, Reason::Sound),
            (Some(0.0), HALF, 833, Reason::Sound),
            (Some(1.0), HALF, 500, Reason::Words),
            (None, HALF, 500, Reason::Silence),
            (Some(7.0), finished, 300, Reason::Sound),
            (Some(1.0), Words::Awaited, 1_500, Reason::Silence),
            (Some(0.0), Words::Empty, 300, Reason::Empty),
            (Some(1.0), read(Shape::Open, None), 1_500, Reason::Words),
            (Some(1.0), read(Shape::Reciting, None), 1_000, Reason::Words),
            (Some(0.0), read(Shape::Reciting, None), 1_000, Reason::Words),
            (
                Some(0.0),
                read(Shape::Reciting, Some(Progress::Complete)),
                300,
                Reason::SlotComplete,
            ),
            (
                Some(1.0),
                read(Shape::Finished, Some(Progress::Incomplete)),
                1_500,
                Reason::SlotIncomplete,
            ),
            (
                Some(1.0),
                read(Shape::Finished, Some(Progress::Impossible)),
                300,
                Reason::Sound,
            ),
        ];
        for (sound, words, ms, reason) in rows {
            let (delay, why) = all.decide(Evidence { sound, words });
            assert_eq!((delay.as_millis(), why), (ms, reason), "{sound:?} {words:?}");
        }
    }

    #[test]
    fn who_is_not_asked_changes_nothing() {
        let evidence = Evidence {
            sound: Some(0.0),
            words: read(Shape::Open, Some(Progress::Complete)),
        };
        let with = |witnesses| Endpointing {
            witnesses,
            ..Endpointing::default()
        };
        let default = Endpointing::default();
        assert_eq!(
            with(Witnesses::Silence).decide(evidence),
            (default.delay, Reason::Silence)
        );
        let doubtful = default.delay + (default.max - default.delay) / DOUBT;
        assert_eq!(with(Witnesses::Sound).decide(evidence), (doubtful, Reason::Sound));
        assert_eq!(
            with(Witnesses::Words).decide(evidence),
            (default.min, Reason::SlotComplete)
        );
    }
}
