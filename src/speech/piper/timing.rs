//! Where the words of a sentence lie in its audio, by the durations of its phonemes. Pure.

use std::ops::Range;

/// Audio with the durations behind it, taken apart: the samples, and each phoneme id's samples. `None` if they do not belong together.
pub(super) fn split(mut flat: Vec<f32>, ids: usize) -> Option<(Vec<f32>, Vec<usize>)> {
    let durations = flat.split_off(flat.len().checked_sub(ids)?);
    let frames: Vec<usize> = durations.iter().map(|&frames| frames as usize).collect();
    let exact = durations
        .iter()
        .zip(&frames)
        .all(|(&told, &frames)| told == frames as f32);
    let total: usize = frames.iter().sum();
    if !exact || total == 0 || !flat.len().is_multiple_of(total) {
        return None;
    }
    let frame = flat.len() / total;
    Some((flat, frames.into_iter().map(|frames| frames * frame).collect()))
}

/// How many ids piper-rs makes of phonemes: a mark at each end, and each that the voice knows with a pad behind it.
pub(super) fn ids(phonemes: &str, is_known: impl Fn(char) -> bool) -> usize {
    2 * phonemes.chars().filter(|&c| is_known(c)).count() + 2
}

/// The words of `phonemes`: for each the samples it lasts and how many phonemes it has. `durations` are those of [`ids`].
pub(super) fn groups(
    phonemes: &str,
    is_known: impl Fn(char) -> bool,
    durations: &[usize],
) -> Vec<(Range<usize>, usize)> {
    let mut groups: Vec<(Range<usize>, usize)> = Vec::new();
    let mut at = durations.first().copied().unwrap_or(0);
    let mut within = false;
    for (place, c) in phonemes.chars().filter(|&c| is_known(c)).enumerate() {
        let lasts: usize = durations.iter().skip(1 + 2 * place).take(2).sum();
        let is_sound = !c.is_whitespace() && !MARKS.contains(c);
        match groups.last_mut() {
            Some((span, sounds)) if is_sound && within => (span.end, *sounds) = (at + lasts, *sounds + 1),
            _ if is_sound => groups.push((at..at + lasts, 1)),
            _ => {}
        }
        within = is_sound;
        at += lasts;
    }
    groups
}

/// Whether a piece of text is said at all: a dash alone is not.
pub(super) fn is_said(word: &str) -> bool {
    word.chars().any(char::is_alphanumeric)
}

/// Each word's samples. espeak-ng says some words as one ("of the") and some as several ("2nd"): `lengths`, the phonemes of each word by
/// itself, tell which. Words that are said as one share its time by them.
pub(super) fn spans(groups: &[(Range<usize>, usize)], lengths: &[usize]) -> Option<Vec<Range<usize>>> {
    let (words, said) = (lengths.len(), groups.len());
    // The least difference in phonemes up to each pair of places, and the step there: words and groups taken.
    let mut best = vec![vec![None::<(usize, usize, usize)>; said + 1]; words + 1];
    best[0][0] = Some((0, 0, 0));
    for word in 0..words {
        for group in 0..said {
            let Some((cost, ..)) = best[word][group] else { continue };
            for (taken, into) in STEPS {
                let (to_word, to_group) = (word + taken, group + into);
                if to_word > words || to_group > said {
                    continue;
                }
                let written: usize = lengths[word..to_word].iter().sum();
                let sounds: usize = groups[group..to_group].iter().map(|(_, sounds)| sounds).sum();
                let cost = cost + written.abs_diff(sounds);
                let cell = &mut best[to_word][to_group];
                if cell.is_none_or(|(known, ..)| cost < known) {
                    *cell = Some((cost, taken, into));
                }
            }
        }
    }
    let mut spans = Vec::with_capacity(words);
    let (mut word, mut group) = (words, said);
    while word > 0 || group > 0 {
        let (_, taken, into) = best[word][group]?;
        let span = groups[group - into].0.start..groups[group - 1].0.end;
        spans.extend(shared(&span, &lengths[word - taken..word]).into_iter().rev());
        (word, group) = (word - taken, group - into);
    }
    spans.reverse();
    Some(spans)
}

/// A span in parts as long as `lengths`.
fn shared(span: &Range<usize>, lengths: &[usize]) -> Vec<Range<usize>> {
    let whole: usize = lengths.iter().sum::<usize>().max(1);
    let mut before = 0;
    let part = |length: &usize| {
        let start = span.start + span.len() * before / whole;
        before += length;
        start..span.start + span.len() * before / whole
    };
    lengths.iter().map(part).collect()
}

/// Words and groups that belong together: one to one, up to four said as one, one said as up to four.
const STEPS: [(usize, usize); 7] = [(1, 1), (2, 1), (3, 1), (4, 1), (1, 2), (1, 3), (1, 4)];
/// No sounds: punctuation that stays among phonemes, and Piper's own marks.
const MARKS: &str = ".,;:!?¡¿…—–-\"«»“”()^$_";

#[cfg(test)]
mod tests {
    use super::*;

    fn known(c: char) -> bool {
        c != '\u{361}'
    }

    #[test]
    fn audio_and_durations_are_told_apart_or_refused() {
        let flat = |audio: usize, durations: &[f32]| [vec![0.5; audio], durations.to_vec()].concat();
        assert_eq!(
            split(flat(60, &[1.0, 0.0, 5.0]), 3).map(|(audio, lasts)| (audio.len(), lasts)),
            Some((60, vec![10, 0, 50]))
        );
        let refused: [(usize, &[f32], usize); 6] = [
            (60, &[1.0, 0.5, 4.5], 3),
            (61, &[1.0, 5.0], 2),
            (60, &[0.0, 0.0], 2),
            (60, &[-1.0, 7.0], 2),
            (60, &[f32::NAN, 6.0], 2),
            (1, &[1.0], 5),
        ];
        for (audio, durations, ids) in refused {
            assert_eq!(split(flat(audio, durations), ids), None, "{durations:?}");
        }
    }

    #[test]
    fn words_last_as_long_as_their_phonemes() {
        let phonemes = "^ab, c\u{361}d.";
        assert_eq!(ids(phonemes, known), 18);
        // Between the marks at the ends, each with its pad: ^, a, b, comma, space, c, d, full stop.
        let durations = [1, 1, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 1];
        let groups = groups(phonemes, known, &durations);
        assert_eq!(groups, [(4..18, 2), (40..70, 2)]);
        assert_eq!(durations.len(), ids(phonemes, known));
    }

    #[test]
    fn words_that_are_said_as_one_share_its_time() {
        let groups = |lengths: &[usize]| {
            let mut at = 0;
            let group = |&sounds: &usize| {
                at += 10 * sounds + 5;
                (at - 10 * sounds..at, sounds)
            };
            lengths.iter().map(group).collect::<Vec<_>>()
        };
        assert_eq!(spans(&groups(&[3, 2]), &[3, 2]), Some(vec![5..35, 40..60]));
        // "End of the day": "of the" is one.
        assert_eq!(
            spans(&groups(&[3, 4, 2]), &[3, 2, 2, 2]),
            Some(vec![5..35, 40..60, 60..80, 85..105])
        );
        // The second word is said as two.
        assert_eq!(
            spans(&groups(&[3, 2, 4, 1]), &[3, 6, 1]),
            Some(vec![5..35, 40..105, 110..120])
        );
        assert_eq!(spans(&groups(&[3]), &[]), None);
        assert_eq!(spans(&[], &[3]), None);
        assert_eq!(spans(&[], &[]), Some(vec![]));
    }

    #[test]
    fn spans_are_in_order_whatever_the_lengths() {
        proptest::proptest!(|(sounds in proptest::collection::vec(1_usize..9, 1..9), lengths in proptest::collection::vec(0_usize..9, 1..12))| {
            let mut at = 0;
            let groups: Vec<_> = sounds.iter().map(|&sounds| { at += 7 * sounds; (at - 7 * sounds..at, sounds) }).collect();
            if let Some(spans) = spans(&groups, &lengths) {
                proptest::prop_assert_eq!(spans.len(), lengths.len());
                proptest::prop_assert!(spans.windows(2).all(|pair| pair[0].end <= pair[1].start));
                proptest::prop_assert!(spans.iter().all(|span| span.start <= span.end && span.end <= at));
            }
        });
    }
}
