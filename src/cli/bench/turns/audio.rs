//! From scripts to telephone audio with exact labels.

use std::ops::Range;

use super::set::{Half, Script};
use crate::audio::resample::resample;
use crate::dialog::slot::Slot;
use crate::time::SampleRate;

/// One turn of a caller as audio at the line rate, before any noise.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) id: String,
    pub(super) category: String,
    pub(super) slot: Option<Slot>,
    pub(super) half: Half,
    /// Mono, −1 to 1: silence, the turn, silence.
    pub(super) samples: Vec<f32>,
    /// Where something is said: the pieces, in order.
    pub(super) voiced: Vec<Range<usize>>,
}

impl Turn {
    /// Puts pieces of speech together, each trimmed, with exactly `pauses` ms between them.
    pub(super) fn compose(script: &Script, pieces: &[Vec<f32>]) -> anyhow::Result<Self> {
        let mut samples = vec![0.0; LEAD];
        let mut voiced = Vec::new();
        for (n, piece) in pieces.iter().enumerate() {
            let speech = speech_of(piece);
            anyhow::ensure!(!speech.is_empty(), "piece {} of {} holds no speech", n + 1, script.id);
            let from = samples.len();
            samples.extend_from_slice(&piece[speech]);
            voiced.push(from..samples.len());
            if let Some(pause) = script.pauses.get(n) {
                samples.resize(samples.len() + millis(*pause), 0.0);
            }
        }
        set_level(&mut samples, &voiced);
        samples.resize(samples.len() + AFTER, 0.0);
        Ok(Self {
            id: script.id.clone(),
            category: script.category.clone(),
            slot: script.slot.clone(),
            half: Half::of(&script.id),
            samples,
            voiced,
        })
    }

    /// One past the last voiced sample.
    pub(super) fn end(&self) -> usize {
        self.voiced.last().map_or(0, |piece| piece.end)
    }

    /// The silences inside the turn.
    pub(super) fn pauses(&self) -> Vec<Range<usize>> {
        self.voiced.windows(2).map(|pair| pair[0].end..pair[1].start).collect()
    }
}

/// Speech of any rate, brought to the line's.
pub(super) fn to_line(samples: &[f32], rate: u32) -> anyhow::Result<Vec<f32>> {
    Ok(resample(samples, SampleRate::hz(rate), SampleRate::LINE)?)
}

/// From the first to the last block above −35 dB of the loudest.
pub(super) fn speech_of(samples: &[f32]) -> Range<usize> {
    let levels: Vec<f32> = samples.chunks(BLOCK).map(rms).collect();
    let threshold = (levels.iter().copied().fold(0.0, f32::max) * THRESHOLD).max(FLOOR);
    let first = levels.iter().position(|&level| level > threshold);
    let last = levels.iter().rposition(|&level| level > threshold);
    match (first, last) {
        (Some(first), Some(last)) => first * BLOCK..((last + 1) * BLOCK).min(samples.len()),
        _ => 0..0,
    }
}

/// The longest stretch below the threshold of [`speech_of`] inside of speech, in samples.
pub(super) fn longest_gap(samples: &[f32]) -> usize {
    let speech = &samples[speech_of(samples)];
    let levels: Vec<f32> = speech.chunks(BLOCK).map(rms).collect();
    let threshold = (levels.iter().copied().fold(0.0, f32::max) * THRESHOLD).max(FLOOR);
    let (mut longest, mut gap) = (0, 0);
    for level in levels {
        gap = if level > threshold { 0 } else { gap + BLOCK };
        longest = longest.max(gap);
    }
    longest
}

/// The longest quiet stretch of at least `least` samples whose middle lies in `within`: between two words, mostly.
pub(super) fn quiet_near(samples: &[f32], within: &Range<usize>, least: usize) -> Option<Range<usize>> {
    let levels: Vec<f32> = samples.chunks(BLOCK).map(rms).collect();
    let threshold = (levels.iter().copied().fold(0.0, f32::max) * DIP).max(FLOOR);
    let mut best: Option<Range<usize>> = None;
    let mut from = None;
    for (n, &level) in levels.iter().chain([&f32::MAX]).enumerate() {
        if level <= threshold {
            from.get_or_insert(n * BLOCK);
        } else if let Some(from) = from.take() {
            let (run, middle) = (from..n * BLOCK, (from + n * BLOCK) / 2);
            let longer = best.as_ref().is_none_or(|best| run.len() > best.len());
            if run.len() >= least && within.contains(&middle) && longer {
                best = Some(run);
            }
        }
    }
    best
}

pub(super) fn rms(samples: &[f32]) -> f32 {
    let energy: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    (energy / samples.len().max(1) as f64).sqrt() as f32
}

/// dB of full scale to a factor.
pub(super) fn amplitude(dbfs: f32) -> f32 {
    f32::powf(10.0, dbfs / 20.0)
}

/// Line samples in so many milliseconds.
pub(super) const fn millis(ms: u64) -> usize {
    ms as usize * 8
}

/// Brings what is said to the level of a telephone talker.
fn set_level(samples: &mut [f32], voiced: &[Range<usize>]) {
    let speech: Vec<f32> = voiced
        .iter()
        .flat_map(|piece| samples[piece.clone()].iter().copied())
        .collect();
    let peak = speech.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    let active: Vec<f32> = speech.into_iter().filter(|sample| sample.abs() > peak * 0.05).collect();
    let level = rms(&active);
    if level > 0.0 {
        let gain = amplitude(SPEECH_DBFS) / level;
        for sample in samples {
            *sample *= gain;
        }
    }
}

/// Silence before the turn: as long as it takes to say nothing.
const LEAD: usize = millis(600);
/// Silence after it: longer than any endpoint waits.
const AFTER: usize = millis(6_000);
/// 10 ms.
const BLOCK: usize = 80;
/// −35 dB.
const THRESHOLD: f32 = 0.017_782_8;
/// −30 dB: as quiet as it gets between words that are spoken in one breath.
const DIP: f32 = 0.031_622_8;
/// What nobody hears.
const FLOOR: f32 = 30.0 / 32_768.0;
const SPEECH_DBFS: f32 = -22.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// A tone with silence before and after it, as a voice makes it.
    fn piece(ms: u64) -> Vec<f32> {
        let tone = (0..millis(ms)).map(|n| (n as f32 * 0.3).sin() * 0.3);
        let silence = |ms| std::iter::repeat_n(0.0, millis(ms));
        silence(130).chain(tone).chain(silence(310)).collect()
    }

    fn script(pauses: &[u64]) -> Script {
        Script {
            id: "x".to_owned(),
            category: "y".to_owned(),
            slot: None,
            pieces: vec![String::new(); pauses.len() + 1],
            pauses: pauses.to_vec(),
        }
    }

    #[test]
    fn labelled_pauses_are_silent_and_as_long_as_written() {
        let pauses = [400, 1_500, 25];
        let pieces: Vec<_> = [300, 500, 200, 700].into_iter().map(piece).collect();
        let turn = Turn::compose(&script(&pauses), &pieces).expect("a turn");
        let found = turn.pauses();
        assert_eq!(found.len(), pauses.len());
        for (pause, ms) in found.iter().zip(pauses) {
            assert_eq!(pause.len(), millis(ms));
            assert!(turn.samples[pause.clone()].iter().all(|&sample| sample == 0.0));
        }
        for (voiced, ms) in turn.voiced.iter().zip([300, 500, 200, 700]) {
            assert!(voiced.len().abs_diff(millis(ms)) <= 2 * BLOCK, "{voiced:?}");
            assert!(rms(&turn.samples[voiced.end - BLOCK..voiced.end]) > 0.01);
        }
        assert!(turn.samples[turn.end()..].iter().all(|&sample| sample == 0.0));
        assert_eq!(turn.samples.len() - turn.end(), AFTER);
        let level = rms(&turn.samples[turn.voiced[1].clone()]);
        assert!((20.0 * level.log10() - SPEECH_DBFS).abs() < 1.0, "{level}");
    }

    #[test]
    fn silent_pieces_are_refused() {
        assert!(Turn::compose(&script(&[]), &[vec![0.0; 8_000]]).is_err());
        assert_eq!(speech_of(&[]), 0..0);
    }

    #[test]
    fn the_quiet_between_two_words_is_found() {
        let clip = [piece(300), piece(300)].concat();
        let middle = clip.len() / 2;
        let quiet = quiet_near(&clip, &(middle - 1_600..middle + 1_600), millis(40)).expect("quiet");
        assert!(
            quiet.start.abs_diff(millis(430)) <= BLOCK && quiet.end.abs_diff(millis(870)) <= BLOCK,
            "{quiet:?}"
        );
        assert_eq!(quiet_near(&clip, &(millis(200)..millis(300)), millis(40)), None);
    }

    #[test]
    fn gaps_inside_speech_are_found() {
        let clip = [piece(300), piece(300)].concat();
        assert!(longest_gap(&clip).abs_diff(millis(440)) <= 2 * BLOCK);
        assert!(longest_gap(&piece(300)) <= BLOCK);
    }
}
