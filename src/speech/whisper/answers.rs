//! Which of the answers that are expected a short piece of audio holds, where the free text is in doubt.
//!
//! Whisper writes a single word on a telephone as whatever English has most of: "Heating." as "Pading", "Low." as "Well." Asked the other
//! way round, how likely each expected answer is, it knows. Every answer is decoded by force on the encoding that the free text was
//! decoded from; of a few words that costs less than half of a transcription (figures in BENCHMARKS.md).

use whisper_rs::{WhisperContext, WhisperError, WhisperState};

use crate::speech::{Answer, Cancelled};

/// An answer that was heard.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chosen {
    pub(super) text: String,
    /// Its log-probability.
    pub(super) likelihood: f32,
}

/// The state of a run, asked how likely texts are.
pub(super) struct Scorer<'a> {
    context: &'a WhisperContext,
    state: &'a mut WhisperState,
    threads: usize,
    prompt: Vec<i32>,
    /// What may follow an answer.
    enders: Vec<i32>,
}

/// Whether it is worth asking: the text is short, and is none of the answers by itself.
pub(super) fn is_doubtful(text: &str, answers: &[Answer]) -> bool {
    let said = words(text);
    let names = |phrase: &String| {
        let phrase = words(phrase);
        !phrase.is_empty() && said.windows(phrase.len()).any(|part| part == phrase)
    };
    let mut phrases = answers.iter().flat_map(|answer| &answer.phrases);
    !answers.is_empty() && said.len() <= MAX_WORDS && !phrases.any(names)
}

/// The answer that was given, if one is much likelier than the others and not much less likely than the free text, whose log-probability
/// is `free`.
pub(super) fn choose(
    scorer: &mut Scorer<'_>,
    free: f32,
    answers: &[Answer],
    cancelled: Cancelled<'_>,
) -> Result<Option<Chosen>, WhisperError> {
    let first = scorer.start()?;
    let mut scored: Vec<(f32, f32, &Answer, &str)> = Vec::new();
    for answer in answers {
        let (mut all, mut best) = (Sum::default(), (f32::NEG_INFINITY, ""));
        for phrase in &answer.phrases {
            for spelling in spellings(phrase) {
                if cancelled() {
                    return Ok(None);
                }
                let likelihood = scorer.likelihood(&first, &spelling, HOPELESS)?;
                all.add(likelihood);
                if likelihood > best.0 {
                    best = (likelihood, phrase);
                }
            }
        }
        scored.push((all.get(), best.0, answer, best.1));
    }
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let second = scored.get(1).map_or(f32::NEG_INFINITY, |(sum, ..)| *sum);
    let chosen = scored.first().filter(|(sum, _, answer, _)| {
        answer.is_wanted && *sum >= LIKELY && sum - second >= MARGIN && sum - free >= -BEHIND_FREE
    });
    Ok(chosen.map(|(_, likelihood, _, phrase)| Chosen {
        text: capitalised(phrase),
        likelihood: *likelihood,
    }))
}

impl<'a> Scorer<'a> {
    /// On the state of a run that is over; `language` is ignored by English-only models.
    pub(super) fn new(
        context: &'a WhisperContext,
        state: &'a mut WhisperState,
        language: &str,
        threads: usize,
    ) -> Result<Self, WhisperError> {
        let mut prompt = vec![context.token_sot()];
        if context.is_multilingual() {
            let language = whisper_rs::get_lang_id(language).unwrap_or(0);
            prompt.extend([context.token_lang(language), context.token_transcribe()]);
        }
        prompt.push(context.token_not());
        let mut enders = vec![context.token_eot()];
        for mark in [".", "!", "?", ","] {
            enders.extend(tokens(context, mark)?);
        }
        Ok(Self {
            context,
            state,
            threads,
            prompt,
            enders,
        })
    }

    /// The log-probabilities of a text's first token.
    fn start(&mut self) -> Result<Vec<f32>, WhisperError> {
        // whisper-rs shows the logits of the first token it is given only, so the last one comes by itself.
        let last = self.prompt.len() - 1;
        self.state.decode(&self.prompt[..last], 0, self.threads)?;
        self.state.decode(&self.prompt[last..], last, self.threads)?;
        Ok(log_softmax(self.state.get_logits()?))
    }

    /// The log-probability that the audio holds this text and nothing else; something less than `least` as soon as it is less.
    fn likelihood(&mut self, first: &[f32], text: &str, least: f32) -> Result<f32, WhisperError> {
        let tokens = tokens(self.context, &format!(" {text}"))?;
        let mut next = first.to_vec();
        let mut sum = 0.0;
        for (n, token) in tokens.iter().enumerate() {
            sum += at(&next, *token);
            if sum < least {
                return Ok(sum);
            }
            self.state.decode(&[*token], self.prompt.len() + n, self.threads)?;
            next = log_softmax(self.state.get_logits()?);
        }
        let mut end = Sum::default();
        for token in &self.enders {
            end.add(at(&next, *token));
        }
        Ok(sum + end.get())
    }
}

fn tokens(context: &WhisperContext, text: &str) -> Result<Vec<i32>, WhisperError> {
    // No token is shorter than a byte; whisper-rs must not be told too few.
    context.tokenize(text, text.len() + 1)
}

fn at(values: &[f32], token: i32) -> f32 {
    usize::try_from(token)
        .ok()
        .and_then(|token| values.get(token).copied())
        .unwrap_or(f32::NEG_INFINITY)
}

fn log_softmax(logits: &[f32]) -> Vec<f32> {
    let mut all = Sum::default();
    for logit in logits {
        all.add(*logit);
    }
    let norm = all.get();
    logits.iter().map(|logit| logit - norm).collect()
}

/// A sum of probabilities, given and told as logarithms.
struct Sum {
    largest: f32,
    rest: f32,
}

impl Default for Sum {
    fn default() -> Self {
        Self {
            largest: f32::NEG_INFINITY,
            rest: 0.0,
        }
    }
}

impl Sum {
    fn add(&mut self, log: f32) {
        if log == f32::NEG_INFINITY {
            return;
        }
        if log <= self.largest {
            self.rest += (log - self.largest).exp();
        } else {
            self.rest = self.rest * (self.largest - log).exp() + 1.0;
            self.largest = log;
        }
    }

    fn get(&self) -> f32 {
        self.largest + self.rest.ln()
    }
}

/// As Whisper may write it: within a sentence, as one, and an abbreviation.
fn spellings(phrase: &str) -> Vec<String> {
    let mut spellings = vec![phrase.to_owned(), capitalised(phrase)];
    if phrase.chars().count() <= ABBREVIATION && phrase.chars().all(char::is_alphabetic) {
        spellings.push(phrase.to_uppercase());
    }
    spellings.sort();
    spellings.dedup();
    spellings
}

fn capitalised(phrase: &str) -> String {
    let mut chars = phrase.chars();
    let first = chars.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(chars).collect()
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '\''));
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Longer texts are seldom a word misheard.
const MAX_WORDS: usize = 3;
/// Letters of "MRI" and "ASAP".
const ABBREVIATION: usize = 4;
/// Log-probability from which an answer may have been said. Noise, hums and other words have −9.2 and less for kinds of work, urgencies and
/// procedures; the least likely of 60 answers that were given −8.3 (base and tiny.en; BENCHMARKS.md).
const LIKELY: f32 = -8.5;
/// By so much an answer must be likelier than the next one.
const MARGIN: f32 = 3.0;
/// By so much it may be less likely than the free text, which has all words to choose from.
const BEHIND_FREE: f32 = 5.0;
/// No answer this unlikely is chosen, nor keeps another from being chosen.
const HOPELESS: f32 = -11.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Vec<Answer> {
        let answer = |phrases: &[&str]| Answer::wanted(phrases.iter().map(|phrase| (*phrase).to_owned()));
        vec![answer(&["heating", "heater"]), answer(&["electrical work"])]
    }

    #[test]
    fn only_short_texts_that_are_no_answer_are_in_doubt() {
        for (text, doubtful) in [
            ("Pading", true),
            ("", true),
            ("Well, well.", true),
            ("Heating.", false),
            ("It's heating.", false),
            ("Electrical work!", false),
            ("Electrical.", true),
            ("I do not know that", false),
        ] {
            assert_eq!(is_doubtful(text, &answers()), doubtful, "{text}");
        }
        assert!(!is_doubtful("Pading", &[]));
    }

    #[test]
    fn probabilities_add_up() {
        let mut sum = Sum::default();
        for part in [0.1_f32, 0.4, 0.0, 0.25] {
            sum.add(part.ln());
        }
        assert!((sum.get().exp() - 0.75).abs() < 1e-6);
        let all: f32 = log_softmax(&[1.0, 3.0, -2.0]).iter().map(|log| log.exp()).sum();
        assert!((all - 1.0).abs() < 1e-6);
    }

    #[test]
    fn abbreviations_are_written_in_capitals_too() {
        assert_eq!(spellings("mri"), ["MRI", "Mri", "mri"]);
        assert_eq!(spellings("office visit"), ["Office visit", "office visit"]);
        assert_eq!(spellings("an MRI"), ["An MRI", "an MRI"]);
    }
}
