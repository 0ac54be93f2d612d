//! What is said in a measurement: recorded clips with their texts, or sentences spoken by Piper.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use crate::caller::{Level, Utterance};

/// Speech and, where it is known, what it says.
#[derive(Debug, Clone)]
pub(super) struct Clip {
    pub(super) utterance: Utterance,
    pub(super) text: Option<String>,
}

impl Clip {
    pub(super) fn seconds(&self) -> f32 {
        self.utterance.frames.len() as f32 * FRAME_SECONDS
    }
}

/// The clips of a tab-separated file with the columns `path` and `text`, in its order, up to a length.
pub(super) fn from_manifest(manifest: &Path, level: Level, max_seconds: f32) -> anyhow::Result<Vec<Clip>> {
    let table = std::fs::read_to_string(manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let rows = rows(&table).with_context(|| format!("{} has no columns path and text", manifest.display()))?;
    let folder = manifest.parent().unwrap_or_else(|| Path::new("."));
    let mut clips = Vec::new();
    for (path, text) in rows {
        let clip = Clip {
            utterance: Utterance::from_wav(&folder.join(path), level)?,
            text: Some(text.to_owned()),
        };
        if clip.seconds() <= max_seconds {
            clips.push(clip);
        }
    }
    anyhow::ensure!(!clips.is_empty(), "{} names no clips", manifest.display());
    Ok(clips)
}

/// Wav files, whose texts nobody knows.
pub(super) fn from_wavs(paths: &[PathBuf], level: Level) -> anyhow::Result<Vec<Clip>> {
    let clip = |path: &PathBuf| {
        Ok(Clip {
            utterance: Utterance::from_wav(path, level)?,
            text: None,
        })
    };
    paths.iter().map(clip).collect()
}

/// Texts in a voice of mono samples and their rate.
pub(super) fn spoken(
    texts: &[&str],
    level: Level,
    mut voice: impl FnMut(&str) -> anyhow::Result<(Vec<f32>, u32)>,
) -> anyhow::Result<Vec<Clip>> {
    let mut clip = |text: &&str| {
        let (samples, rate) = voice(text).with_context(|| format!("cannot speak {text:?}"))?;
        Ok(Clip {
            utterance: Utterance::from_samples((*text).to_owned(), &samples, rate, level)?,
            text: Some((*text).to_owned()),
        })
    };
    texts.iter().map(&mut clip).collect()
}

/// Brings things into an order that depends on the seed alone.
pub(super) fn shuffle<T>(things: &mut [T], seed: u64) {
    things.shuffle(&mut StdRng::seed_from_u64(seed));
}

/// Path and text of each line; `None` without these columns.
fn rows(table: &str) -> Option<Vec<(&str, &str)>> {
    let mut lines = table.lines();
    let header: Vec<&str> = lines.next()?.split('\t').collect();
    let column = |name: &str| header.iter().position(|&column| column == name);
    let (path, text) = (column("path")?, column("text")?);
    let rows = lines.filter_map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        Some((*fields.get(path)?, *fields.get(text)?))
    });
    Some(rows.filter(|(path, _)| !path.is_empty()).collect())
}

const FRAME_SECONDS: f32 = 0.02;

/// What callers say, in one breath. None asks for a person or says goodbye, which would end the call.
pub(super) const SENTENCES: [&str; 12] = [
    "Hello, what are your opening hours?",
    "I would like to make an appointment.",
    "Who can explain a bill to me?",
    "I need to change my address.",
    "Is the office open on Saturday?",
    "How long will the repair take?",
    "My internet connection is not working.",
    "Please send me a copy of the invoice.",
    "Do you have anything on Tuesday afternoon?",
    "I am calling about my insurance claim.",
    "Could you repeat that, please?",
    "Thank you, that is all I wanted to know.",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_their_columns_names() {
        let table = "id\ttext\tpath\n1\thello there\ta.wav\n\n2\tshort\n3\tbye\tb.wav\n";
        assert_eq!(rows(table), Some(vec![("a.wav", "hello there"), ("b.wav", "bye")]));
        assert_eq!(rows("path\twords\na\tb\n"), None);
        assert_eq!(rows(""), None);
    }

    #[test]
    fn a_seed_gives_one_order() {
        let order = |seed| {
            let mut sentences = SENTENCES;
            shuffle(&mut sentences, seed);
            sentences
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }

    #[test]
    fn sentences_are_spoken_and_their_texts_known() {
        let tone = |_: &str| Ok(((0..8000).map(|n| (n as f32 * 0.3).sin()).collect(), 8000));
        let clips = spoken(&SENTENCES, Level::Dbfs(-22.0), tone).expect("clips");
        assert_eq!(clips.len(), SENTENCES.len());
        assert_eq!(clips[0].text.as_deref(), Some(SENTENCES[0]));
        assert!((clips[0].seconds() - 1.0).abs() < 0.05);
        let broken = spoken(&SENTENCES, Level::AsIs, |_| anyhow::bail!("no voice")).expect_err("no voice");
        assert!(broken.to_string().contains("cannot speak"));
    }
}
