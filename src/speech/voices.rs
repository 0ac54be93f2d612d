//! One synthesiser out of several: a voice for each language.

use std::collections::HashMap;

use crate::speech::{Cancelled, Code, Speech, SpeechError, Synthesizer};

/// A voice, and others for some languages.
pub struct Voices {
    usual: Box<dyn Synthesizer>,
    others: HashMap<Code, Box<dyn Synthesizer>>,
}

impl Voices {
    /// `usual` speaks every language that has no voice of its own.
    pub fn new(usual: Box<dyn Synthesizer>, others: HashMap<Code, Box<dyn Synthesizer>>) -> Self {
        Self { usual, others }
    }
}

impl Synthesizer for Voices {
    fn synthesize(&mut self, text: &str, cancelled: Cancelled<'_>) -> Result<Speech, SpeechError> {
        self.usual.synthesize(text, cancelled)
    }

    fn synthesize_in(&mut self, text: &str, language: Code, cancelled: Cancelled<'_>) -> Result<Speech, SpeechError> {
        self.others
            .get_mut(language)
            .unwrap_or(&mut self.usual)
            .synthesize(text, cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SampleRate;

    /// Says how long its name is.
    struct Voice(usize);

    impl Synthesizer for Voice {
        fn synthesize(&mut self, _: &str, _: Cancelled<'_>) -> Result<Speech, SpeechError> {
            let samples = vec![0.0; self.0];
            let rate = SampleRate::LINE;
            let words = Vec::new();
            Ok(Speech { samples, rate, words })
        }
    }

    #[test]
    fn each_language_has_its_voice_and_the_others_the_usual_one() {
        let mut voices = Voices::new(Box::new(Voice(1)), HashMap::from([("es", Box::new(Voice(2)) as _)]));
        let mut spoken = |language| {
            voices
                .synthesize_in("x", language, &|| false)
                .expect("audio")
                .samples
                .len()
        };
        assert_eq!((spoken("en"), spoken("es"), spoken("de")), (1, 2, 1));
    }
}
