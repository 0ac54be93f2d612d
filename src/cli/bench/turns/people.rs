//! Turns put together from people's recordings: single sentences, the same held up between two words, several in a row,
//! and telephone numbers from single digits.

use std::path::PathBuf;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};

use super::audio::{Turn, longest_gap, millis, quiet_near};
use super::set::Script;
use crate::audio::mulaw;
use crate::caller::Level;
use crate::cli::bench::clips;
use crate::dialog::slot::Slot;

/// One recording.
struct Clip {
    text: String,
    samples: Vec<f32>,
}

/// Composes turns from the clips of several manifests; the seed fixes them.
pub(super) fn turns(manifests: &[PathBuf], seed: u64) -> anyhow::Result<Vec<Turn>> {
    let mut clips = Vec::new();
    for manifest in manifests {
        for clip in clips::from_manifest(manifest, Level::Dbfs(-22.0), MAX_SECONDS)? {
            let bytes = clip.utterance.frames.iter().flatten();
            let samples: Vec<f32> = bytes.map(|&byte| mulaw::to_f32(mulaw::decode(byte))).collect();
            // A pause of the speaker's own has no label.
            if longest_gap(&samples) < millis(OWN_PAUSE_MS) {
                let text = clip.text.unwrap_or_default();
                clips.push(Clip { text, samples });
            }
        }
    }
    let mut rng = StdRng::seed_from_u64(seed);
    let (digits, sentences): (Vec<_>, Vec<_>) = clips.iter().partition(|clip| digit(&clip.text).is_some());
    let mut whole: Vec<&Clip> = sentences.into_iter().filter(|clip| is_whole(&clip.text)).collect();
    whole.shuffle(&mut rng);
    let mut turns = Vec::new();
    for (n, clip) in (1..).zip(whole.iter().take(SINGLE)) {
        turns.push(compose("person", n, None, &[clip], &[])?);
    }
    for clip in &whole {
        let middle = clip.samples.len() / 4..clip.samples.len() * 3 / 4;
        let n = 1 + turns.len() - SINGLE.min(whole.len());
        if clip.samples.len() >= millis(SPLIT_FROM_MS)
            && let Some(gap) = quiet_near(&clip.samples, &middle, millis(BETWEEN_WORDS_MS))
        {
            let parts = [clip.samples[..gap.start].to_vec(), clip.samples[gap.end..].to_vec()];
            let pauses = PAUSES.choose(&mut rng).copied().into_iter().collect();
            turns.push(Turn::compose(&script("person-split", n, None, pauses), &parts)?);
        }
    }
    if whole.len() >= 3 {
        for n in 1..=LONG {
            let count = 2 + n % 2;
            let parts: Vec<&Clip> = whole.choose_multiple(&mut rng, count).copied().collect();
            let pauses: Vec<u64> = (1..count).filter_map(|_| PAUSES.choose(&mut rng).copied()).collect();
            turns.push(compose("person-long", n, None, &parts, &pauses)?);
        }
    }
    if !digits.is_empty() {
        for n in 1..=NUMBERS {
            // Area code and exchange begin with 2 to 9: a 1 before them would be the country's.
            let first: Vec<&Clip> = digits
                .iter()
                .copied()
                .filter(|clip| digit(&clip.text) >= Some(2))
                .collect();
            let parts: Vec<&Clip> = (0..10)
                .filter_map(|place| {
                    if [0, 3].contains(&place) { &first } else { &digits }
                        .choose(&mut rng)
                        .copied()
                })
                .collect();
            anyhow::ensure!(parts.len() == 10, "the manifests hold only the digits 0 and 1");
            turns.push(number(n, &parts)?);
        }
    }
    anyhow::ensure!(!turns.is_empty(), "the manifests hold no clips that can be used");
    Ok(turns)
}

/// Ten digits in groups of three, three and four.
fn number(n: usize, digits: &[&Clip]) -> anyhow::Result<Turn> {
    let gap = vec![0.0; millis(BETWEEN_DIGITS_MS)];
    let groups: Vec<Vec<f32>> = [0..3, 3..6, 6..10]
        .into_iter()
        .map(|group| {
            let spoken: Vec<&[f32]> = digits[group].iter().map(|clip| clip.samples.as_slice()).collect();
            spoken.join(gap.as_slice())
        })
        .collect();
    let script = script(
        "person-phone",
        n,
        Some(Slot::Phone { local: false }),
        vec![GROUPS_MS; 2],
    );
    Turn::compose(&script, &groups)
}

fn compose(category: &str, n: usize, slot: Option<Slot>, parts: &[&Clip], pauses: &[u64]) -> anyhow::Result<Turn> {
    let pieces: Vec<Vec<f32>> = parts.iter().map(|clip| clip.samples.clone()).collect();
    Turn::compose(&script(category, n, slot, pauses.to_vec()), &pieces)
}

fn script(category: &str, n: usize, slot: Option<Slot>, pauses: Vec<u64>) -> Script {
    Script {
        id: format!("{category}-{n:02}"),
        category: category.to_owned(),
        slot,
        pieces: Vec::new(),
        pauses,
    }
}

fn digit(text: &str) -> Option<usize> {
    DIGITS.iter().position(|digit| text.trim().eq_ignore_ascii_case(digit))
}

/// Whether a prompt may be all that somebody says: "There are currently..." may not.
fn is_whole(text: &str) -> bool {
    !text.trim_end().ends_with("...")
}

const DIGITS: [&str; 10] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
];
const PAUSES: [u64; 8] = [200, 300, 400, 500, 600, 800, 1_000, 1_500];
const SINGLE: usize = 30;
const LONG: usize = 30;
const NUMBERS: usize = 20;
/// Shorter ones have no middle.
const SPLIT_FROM_MS: u64 = 1_200;
const BETWEEN_WORDS_MS: u64 = 30;
const MAX_SECONDS: f32 = 8.0;
const OWN_PAUSE_MS: u64 = 150;
const GROUPS_MS: u64 = 300;
const BETWEEN_DIGITS_MS: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(ms: u64) -> Clip {
        let samples = (0..millis(ms)).map(|n| (n as f32 * 0.3).sin() * 0.2).collect();
        Clip {
            text: "five".to_owned(),
            samples,
        }
    }

    #[test]
    fn a_number_has_three_groups_and_two_labelled_pauses() {
        let five = clip(300);
        let turn = number(1, &[&five; 10]).expect("a number");
        let lengths: Vec<usize> = turn.pauses().iter().map(ExactSizeIterator::len).collect();
        assert_eq!(lengths, [millis(GROUPS_MS); 2]);
        assert_eq!(turn.voiced.len(), 3);
        assert!(turn.slot.is_some());
    }

    #[test]
    fn digits_and_whole_sentences_are_told_apart() {
        assert_eq!((digit("Seven"), digit("five five")), (Some(7), None));
        assert!(is_whole("Goodbye.") && !is_whole("There are currently..."));
    }
}
