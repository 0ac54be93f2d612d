//! Notices that a decoder has begun to say things again.
//!
//! Two patterns end a decoding: the text starts over ("The office is open. The office is"), and a phrase is said again
//! and again ("six six six six"). Digits may repeat: people do say "five five five five".

/// Follows one decoding, token by token.
#[derive(Debug, Clone)]
pub struct RepeatGuard {
    tokens: Vec<i32>,
    end_of_text: i32,
    /// A first copy of at least so many tokens is as much as the audio can hold.
    enough: usize,
    cut: Option<usize>,
}

impl RepeatGuard {
    /// `end_of_text` is the first id that is no text; `seconds` is the length of the audio.
    pub fn new(end_of_text: i32, seconds: f32) -> Self {
        let enough = ((seconds - USUAL_SILENCE) * SLOW_SPEECH).max(0.0).ceil() as usize;
        Self {
            tokens: Vec::new(),
            end_of_text,
            enough,
            cut: None,
        }
    }

    /// The id to force when [`RepeatGuard::see`] says so.
    pub fn end_of_text(&self) -> i32 {
        self.end_of_text
    }

    /// Tells the guard that `count` tokens are decoded and `newest` is the last. `true`: stop decoding here.
    pub fn see(&mut self, count: usize, newest: Option<i32>) -> bool {
        // A count that does not follow the last one means that decoding began anew.
        if count != self.tokens.len() + 1 {
            self.tokens.clear();
            self.cut = None;
        }
        self.tokens.extend(newest);
        if self.cut.is_none() {
            self.cut = restart(&self.tokens, self.enough).or_else(|| cycle(&self.tokens));
        }
        self.cut.is_some()
    }

    /// How many tokens to keep.
    pub fn kept(&self) -> usize {
        self.cut.unwrap_or(usize::MAX)
    }

    /// The token that was said again and again, if the decoding was ended for it, and how often. Of a word the first is kept; how often a
    /// digit was said only those know who wait for it.
    pub fn looped(&self) -> Option<(i32, usize)> {
        let kept = self.tokens.get(self.cut?.checked_sub(1)?..)?;
        let (first, rest) = kept.split_first()?;
        (kept.len() >= SHORT_COPIES && rest.iter().all(|token| token == first)).then_some((*first, kept.len()))
    }
}

/// The text starts over: its last tokens are its first ones again. People do begin two sentences alike ("I would like to
/// … I would like to …"), so a few equal tokens count only after as many as the audio can hold; otherwise the whole first
/// copy must have come again.
fn restart(tokens: &[i32], enough: usize) -> Option<usize> {
    (MIN_RESTART..=tokens.len() / 2)
        .map(|length| tokens.len() - length)
        .find(|&second| {
            let again = &tokens[second..];
            *again == tokens[..again.len()] && (second >= enough || again.len() == second)
        })
}

/// The last tokens are one phrase said several times running. Keeps the first.
fn cycle(tokens: &[i32]) -> Option<usize> {
    (1..=tokens.len() / 3).find_map(|period| {
        let copies = if period < 3 { SHORT_COPIES } else { LONG_COPIES };
        let length = period * copies;
        let start = tokens.len().checked_sub(length)?;
        let run = &tokens[start..];
        run.chunks(period)
            .all(|phrase| phrase == &run[..period])
            .then_some(start + period)
    })
}

/// As many equal tokens as chance does not give.
const MIN_RESTART: usize = 4;
/// Silence around the speech in the audio of a turn: pre-roll and tail, in seconds.
const USUAL_SILENCE: f32 = 0.5;
/// Tokens a second of somebody who speaks slowly.
const SLOW_SPEECH: f32 = 2.5;
/// Copies of one or two tokens ("five", "no,") before it is a loop.
const SHORT_COPIES: usize = 6;
/// Copies of longer phrases before it is a loop.
const LONG_COPIES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds words as tokens and returns those kept.
    fn decode(text: &str, seconds: f32) -> String {
        let words: Vec<&str> = text.split_whitespace().collect();
        let id = |word: &str| {
            word.bytes().fold(7_i32, |hash, byte| {
                hash.wrapping_mul(31).wrapping_add(byte.into()) & 0xFFFF
            })
        };
        let mut guard = RepeatGuard::new(50_256, seconds);
        guard.see(0, None);
        let decoded = (1..=words.len())
            .find(|&count| guard.see(count, Some(id(words[count - 1]))))
            .unwrap_or(words.len());
        words[..decoded.min(guard.kept())].join(" ")
    }

    #[test]
    fn a_sentence_said_again_is_cut_to_its_first_copy() {
        let text = "The pencils have all been used . The pencils have all been used . The";
        assert_eq!(decode(text, 2.3), "The pencils have all been used .");
    }

    #[test]
    fn loops_are_cut() {
        assert_eq!(decode("six six six six six six six six", 3.0), "six");
        assert_eq!(
            decode("well I think so I think so I think so I think so", 9.0),
            "well I think so"
        );
        // What `cleanup` leaves alone because of its figures.
        assert_eq!(decode("and the 5 and the 5 and the 5 and the 5", 6.0), "and the 5");
    }

    #[test]
    fn one_token_over_and_over_is_told() {
        let looped = |tokens: &[i32]| {
            let mut guard = RepeatGuard::new(100, 3.0);
            guard.see(0, None);
            let _ = (1..=tokens.len()).find(|&count| guard.see(count, Some(tokens[count - 1])));
            guard.looped()
        };
        assert_eq!(looped(&[1, 9, 8, 8, 8, 8, 8, 8, 8]), Some((8, 6)));
        assert_eq!(looped(&[1, 9, 8, 8, 8]), None);
        assert_eq!(looped(&[1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2]), None);
    }

    #[test]
    fn what_people_say_twice_is_kept() {
        for text in [
            "five five five oh one two three",
            "Yes . Yes . I do .",
            "no no no no that is wrong",
            "one two three one two four",
            "I would like to book a visit . I would like to know the price .",
        ] {
            assert_eq!(decode(text, 6.0), text);
        }
    }

    #[test]
    fn a_new_decoding_starts_clean() {
        let mut guard = RepeatGuard::new(100, 1.0);
        for (count, token) in [1, 2, 3, 4, 1, 2, 3].into_iter().enumerate() {
            assert!(!guard.see(count + 1, Some(token)));
        }
        assert!(guard.see(8, Some(4)));
        assert!(!guard.see(0, None));
        assert_eq!(guard.kept(), usize::MAX);
    }
}
