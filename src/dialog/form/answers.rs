//! The short answers to what was just asked, for the transcriber to choose from where a word is in doubt.

use super::{Asked, Dialog};
use crate::dialog::slot::Slot;
use crate::speech::Answer;

impl Dialog {
    /// None where anything may be said, or where a wrong guess would be taken for a value.
    pub fn answers(&self) -> Vec<Answer> {
        let language = self.agent.language;
        match &self.asked {
            Asked::Slot { name, .. } => {
                let Some(spec) = self.form().and_then(|form| form.slot(name)) else {
                    return Vec::new();
                };
                let mut answers = spec.kind.answers(language);
                // The caller answers with the agent's own words, as far as they are short.
                if let Slot::Choice(choices) = &spec.kind {
                    for (answer, choice) in answers.iter_mut().zip(choices) {
                        answer
                            .phrases
                            .extend(spec.spoken.get(&choice.value).map(|say| joined(say)));
                        answer.phrases.sort();
                        answer.phrases.dedup();
                    }
                }
                answers
            }
            Asked::Confirm => Slot::YesNo.answers(language),
            Asked::Open | Asked::More | Asked::Which | Asked::Tool { .. } => Vec::new(),
        }
    }
}

/// "an MRI" of "an M R I".
fn joined(spoken: &str) -> String {
    let mut text = String::with_capacity(spoken.len());
    let mut after_letter = false;
    for word in spoken.split_whitespace() {
        let mut letters = word.chars();
        let is_letter = letters.next().is_some_and(char::is_uppercase) && letters.next().is_none();
        if !(text.is_empty() || after_letter && is_letter) {
            text.push(' ');
        }
        text.push_str(word);
        after_letter = is_letter;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn spelled_letters_are_one_word() {
        assert_eq!(joined("an M R I"), "an MRI");
        assert_eq!(joined("an office visit"), "an office visit");
        assert_eq!(joined("A B test of C"), "AB test of C");
    }
}
