//! What one call hears: each window of caller audio is silence, maybe speech, surely speech, or our own voice coming back.
//!
//! Four witnesses: WebRTC's detector is quick and believes noise, Silero is slower and does not, the noise floor says whether
//! a sound stands out, and the echo detector whether it was ours. The first ends speech, the others are needed to begin it.

use crate::audio::echo::EchoDetector;
use crate::audio::frame::Reframer;
use crate::audio::noise_floor::NoiseFloor;
use crate::audio::{dtmf, level};
use crate::speech::silero::{SILERO_WINDOW, Silero, SileroModel};
use crate::speech::{Vad, WINDOW};
use crate::turn::event::Voice;

/// One per call.
pub struct Ear {
    vad: Box<dyn Vad>,
    second: Option<SecondOpinion>,
    floor: NoiseFloor,
    echo: EchoDetector,
    run: Run,
    /// Samples until everything handed to the line has left it, if nothing more comes.
    playing: usize,
    /// Windows since then.
    since_played: u32,
}

/// What a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// For turn-taking.
    pub voice: Voice,
    /// A key of the telephone sounds: nothing for a transcriber.
    pub key: bool,
}

impl Ear {
    /// Without Silero, noise that sounds like a voice to WebRTC's detector is one.
    pub fn new(vad: Box<dyn Vad>, silero: Option<&SileroModel>) -> Self {
        Self {
            vad,
            second: silero.map(|model| SecondOpinion {
                silero: model.stream(),
                reframer: Reframer::new(),
                probability: 0.0,
            }),
            floor: NoiseFloor::new(),
            echo: EchoDetector::new(),
            run: Run::default(),
            playing: 0,
            since_played: ECHO_TAIL,
        }
    }

    /// Takes the next window of caller audio.
    pub fn window(&mut self, window: &[i16; WINDOW]) -> Heard {
        self.echo.heard(window);
        let echo_possible = self.echo_possible();
        let key = dtmf::key(window).is_some();
        let (voiced, sound) = if key { self.hush() } else { self.listen(window) };
        let voice = self.run.window(voiced, sound, echo_possible.then_some(&self.echo));
        Heard { voice, key }
    }

    /// Takes audio as it is handed to the line, which plays it piece after piece.
    pub fn played(&mut self, mulaw: &[u8]) {
        self.echo.sent(mulaw);
        self.playing += mulaw.len();
        self.since_played = 0;
    }

    /// Whether the quick detector hears a voice, and what all of them make of it.
    fn listen(&mut self, window: &[i16; WINDOW]) -> (bool, Voice) {
        let level = level::dbfs(window);
        let above_noise = level - self.floor.push(level);
        let voiced = self.vad.is_voiced(window);
        let probability = self.second.as_mut().map(|second| second.probability(window));
        let (likely, sure) = match probability {
            Some(Ok(probability)) => (probability >= MAYBE, probability >= SURE && above_noise >= CLEAR_DB),
            Some(Err(error)) => {
                tracing::warn!(%error, "a call goes on without its second opinion on what is speech: {error}");
                self.second = None;
                (true, false)
            }
            None => (above_noise >= AUDIBLE_DB, true),
        };
        let sound = match (voiced && likely, sure) {
            (false, _) => Voice::Silent,
            (true, false) => Voice::Maybe,
            (true, true) => Voice::Sure,
        };
        (voiced, sound)
    }

    /// The detectors hear silence in the place of a key, and the noise floor nothing.
    fn hush(&mut self) -> (bool, Voice) {
        self.vad.is_voiced(&[0; WINDOW]);
        if let Some(second) = &mut self.second {
            let _ = second.probability(&[0; WINDOW]);
        }
        (false, Voice::Silent)
    }

    /// Whether what we sent may still come back: as long as the line plays it and [`ECHO_TAIL`] longer.
    fn echo_possible(&mut self) -> bool {
        if self.playing > 0 {
            self.playing = self.playing.saturating_sub(WINDOW);
        } else {
            self.since_played = self.since_played.saturating_add(1);
        }
        self.since_played < ECHO_TAIL
    }
}

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ear")
            .field("silero", &self.second.is_some())
            .field("noise_floor_dbfs", &self.floor.dbfs())
            .finish_non_exhaustive()
    }
}

/// Silero, whose windows are longer than ours: its latest answer holds.
struct SecondOpinion {
    silero: Silero,
    reframer: Reframer<i16, SILERO_WINDOW>,
    probability: f32,
}

impl SecondOpinion {
    fn probability(&mut self, window: &[i16; WINDOW]) -> Result<f32, crate::speech::SpeechError> {
        let mut answer = Ok(self.probability);
        self.reframer
            .push(window, |window| answer = self.silero.probability(window));
        self.probability = answer?;
        Ok(self.probability)
    }
}

/// A stretch of sound, short dropouts included, and whose it is.
#[derive(Debug, Default)]
struct Run {
    owner: Owner,
    /// Windows with sound.
    windows: u32,
    /// Windows since the last one with sound.
    gap: u32,
    /// Windows with sound until the echo detector is asked again.
    until_check: u32,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Owner {
    #[default]
    Unknown,
    Caller,
    Agent,
}

impl Run {
    /// Corrects what a window sounds like by whose it is. `echo` is given while an echo is possible. The run is as long as the
    /// quick detector says, because the second opinion comes 20 to 60 ms later.
    fn window(&mut self, voiced: bool, sound: Voice, echo: Option<&EchoDetector>) -> Voice {
        if voiced {
            self.gap = 0;
            self.windows += 1;
        } else {
            self.gap += 1;
            if self.gap == DROPOUT {
                *self = Self {
                    gap: self.gap,
                    ..Self::default()
                };
            }
        }
        if sound == Voice::Silent {
            return Voice::Silent;
        }
        let Some(echo) = echo else {
            self.owner = Owner::Caller;
            return sound;
        };
        self.until_check = self.until_check.saturating_sub(1);
        if self.windows >= RUN_BEFORE_CHECK && self.until_check == 0 {
            self.until_check = CHECK_EVERY;
            let enough = match self.owner {
                Owner::Unknown => LIKE_US,
                Owner::Caller => MUCH_LIKE_US,
                Owner::Agent => STILL_LIKE_US,
            };
            self.owner = if echo.likeness() > enough {
                Owner::Agent
            } else {
                Owner::Caller
            };
        }
        match self.owner {
            Owner::Unknown => Voice::Maybe,
            Owner::Caller => sound,
            Owner::Agent => Voice::Echo,
        }
    }
}

/// Silero's probability that keeps a turn going, and the one that can start it.
const MAYBE: f32 = 0.2;
const SURE: f32 = 0.6;
/// Above the noise floor, to start a turn.
const CLEAR_DB: f32 = 9.0;
/// Above the noise floor, where there is no second opinion.
const AUDIBLE_DB: f32 = 3.0;
/// Windows after the end of our audio in which its echo may come: 1 s, of which a line takes 0.8 s at most.
const ECHO_TAIL: u32 = 50;
/// Windows of silence that end a run: 100 ms. A soft onset in noise has such holes.
const DROPOUT: u32 = 5;
/// Windows of a run before the first check: 160 ms. A shorter passage is like too many others.
const RUN_BEFORE_CHECK: u32 = 8;
/// Windows between checks: 60 ms.
const CHECK_EVERY: u32 = 3;
/// How like our own audio a passage must be to be its echo; asked for more of what was the caller's, for less of what was
/// ours. Measured (180 ms passages voiced for 160 ms; telephone filter, μ-law, −60 dBFS hiss; −6 to −30 dB, 20 to 800 ms late):
/// Piper's echo has 0.62 or more in 95 % and 0.52 in 99 % of the checks, half of them 0.86. A hundred clips of people against
/// Piper: half 0.24, 95 % below 0.45, 99 % below 0.57, the highest 0.76. The agent's very own voice saying something else: 99 % below
/// 0.64. A caller 6 dB louder than the echo: half 0.35; above 0.6 mostly where the caller pauses and only the echo is heard.
const LIKE_US: f32 = 0.6;
const MUCH_LIKE_US: f32 = 0.7;
const STILL_LIKE_US: f32 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::mulaw;

    /// Takes every sound for a voice.
    struct Loud;
    impl Vad for Loud {
        fn is_voiced(&mut self, window: &[i16; WINDOW]) -> bool {
            level::dbfs(window) > -50.0
        }
    }

    fn ear() -> Ear {
        Ear::new(Box::new(Loud), None)
    }

    /// Noise coloured like speech; another seed, another sound.
    fn sound(seed: u32, windows: usize) -> Vec<i16> {
        let (mut random, mut smooth) = (seed, 0.0);
        let mut next = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            smooth += (((random >> 16) as f32 - 32_768.0) - smooth) * 0.3;
            (smooth / 4.0) as i16
        };
        (0..windows * WINDOW).map(|_| next()).collect()
    }

    fn hear(ear: &mut Ear, samples: &[i16]) -> Vec<Voice> {
        samples
            .as_chunks()
            .0
            .iter()
            .map(|window| ear.window(window).voice)
            .collect()
    }

    fn play(ear: &mut Ear, samples: &[i16]) {
        ear.played(&samples.iter().map(|&sample| mulaw::encode(sample)).collect::<Vec<_>>());
    }

    #[test]
    fn a_caller_is_believed_at_once_while_nothing_of_ours_can_come_back() {
        let mut ear = ear();
        assert!(hear(&mut ear, &[0; 1_600]).iter().all(|&voice| voice == Voice::Silent));
        assert!(hear(&mut ear, &sound(1, 20)).iter().all(|&voice| voice == Voice::Sure));
    }

    #[test]
    fn while_the_agent_speaks_a_caller_is_believed_after_160_ms_and_an_echo_is_known_by_then() {
        let agent = sound(1, 100);
        for (delay, gain) in [(160, 2), (1_333, 10)] {
            let echo: Vec<i16> = agent.iter().map(|sample| sample / gain).collect();
            let mut ear = ear();
            play(&mut ear, &agent[..12_000]);
            hear(&mut ear, &vec![0; delay]);
            let found = hear(&mut ear, &echo[..6_400]);
            assert!(
                found[..7]
                    .iter()
                    .all(|&voice| voice == Voice::Maybe || voice == Voice::Silent),
                "{found:?}"
            );
            assert!(found[10..].iter().all(|&voice| voice == Voice::Echo), "{found:?}");
        }
        let mut ear = ear();
        play(&mut ear, &agent[..12_000]);
        hear(&mut ear, &[0; 1_600]);
        let found = hear(&mut ear, &sound(2, 40));
        assert_eq!(
            found.iter().position(|&voice| voice == Voice::Sure),
            Some(7),
            "{found:?}"
        );
        assert!(found[7..].iter().all(|&voice| voice == Voice::Sure));
    }

    #[test]
    fn a_second_after_our_audio_has_left_the_line_there_is_no_echo_any_more() {
        let mut ear = ear();
        play(&mut ear, &sound(1, 20));
        hear(&mut ear, &[0; 20 * WINDOW]);
        hear(&mut ear, &[0; 40 * WINDOW]);
        assert_eq!(hear(&mut ear, &sound(2, 1)), [Voice::Maybe]);
        hear(&mut ear, &[0; 10 * WINDOW]);
        assert_eq!(hear(&mut ear, &sound(2, 1)), [Voice::Sure]);
    }

    #[test]
    fn a_sound_that_stays_becomes_noise_and_a_key_is_silent() {
        let mut ear = ear();
        let found = hear(&mut ear, &sound(1, 400));
        assert!(found[300..].iter().all(|&voice| voice == Voice::Silent));
        let key: [i16; WINDOW] = std::array::from_fn(|n| {
            let wave = |hertz: f32| (std::f32::consts::TAU * hertz * n as f32 / 8_000.0).sin();
            mulaw::to_i16(0.3 * (wave(852.0) + wave(1_477.0)))
        });
        let heard = ear.window(&key);
        assert_eq!(
            heard,
            Heard {
                voice: Voice::Silent,
                key: true
            }
        );
    }
}
