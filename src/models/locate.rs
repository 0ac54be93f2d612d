//! From a name or path in the configuration to files that are there and intact.

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::manifest::{Manifest, Model, Purpose, is_weights_file};

/// Why a model cannot be used; every message ends with what to do about it.
#[derive(Debug, Error)]
pub enum ModelError {
    #[error("there is no model named `{name}`; known for {purpose}: {known} (run: tieline models list)")]
    Unknown {
        name: String,
        purpose: Purpose,
        known: String,
    },
    #[error("there is no model named `{name}` in the manifest (run: tieline models list)")]
    NotInManifest { name: String },
    #[error(
        "`{name}` is a model for {found}, but one for {purpose} is needed; known: {known} (run: tieline models list)"
    )]
    WrongPurpose {
        name: String,
        found: Purpose,
        purpose: Purpose,
        known: String,
    },
    #[error("model `{name}`: {} is missing (run: tieline models pull {name})", .file.display())]
    Missing { name: String, file: PathBuf },
    #[error("model `{name}`: {} is corrupt: expected sha256 {expected}, found {found} (run: tieline models pull {name})", .file.display())]
    Corrupt {
        name: String,
        file: PathBuf,
        expected: String,
        found: String,
    },
    #[error("model file {} does not exist (correct the path, or use a name from: tieline models list)", .file.display())]
    NoSuchPath { file: PathBuf },
    #[error("voice {} needs its configuration beside it: {} is missing (get both files of the voice)", .voice.display(), .config.display())]
    NoVoiceConfig { voice: PathBuf, config: PathBuf },
    #[error("cannot read model file {}: {source} (check its permissions)", .file.display())]
    Read { file: PathBuf, source: std::io::Error },
}

/// A model that can be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The manifest's name, or the user's path as it was given.
    pub name: String,
    /// The main file first.
    pub files: Vec<PathBuf>,
    /// Hz, where the manifest knows it.
    pub sample_rate: Option<u32>,
    /// Whether every file matched a sha256; false for a user's path and for models added without one.
    pub verified: bool,
}

impl Located {
    /// The main file.
    pub fn path(&self) -> &Path {
        self.files.first().map_or_else(|| Path::new(""), PathBuf::as_path)
    }
}

/// How one file of a model stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Matches a sha256 of the manifest.
    Verified,
    /// There, but the manifest knows no sha256 for it; the one found is given.
    Unpinned {
        sha256: String,
    },
    Missing,
    Corrupt {
        expected: String,
        found: String,
    },
    Unreadable {
        reason: String,
    },
}

/// One line of [`verify`]'s answer.
#[derive(Debug, Clone)]
pub struct Report {
    pub model: String,
    pub file: PathBuf,
    pub state: State,
}

/// Whether a value names a file of the user's own rather than a model of the manifest.
pub fn is_path(name_or_path: &str) -> bool {
    name_or_path.contains('/') || is_weights_file(name_or_path)
}

/// Finds a model by its manifest name, checking its files by sha256, or takes a path as it is.
pub fn locate(
    manifest: &Manifest,
    models_dir: &Path,
    name_or_path: &str,
    purpose: Purpose,
) -> Result<Located, ModelError> {
    if is_path(name_or_path) {
        return user_file(name_or_path, purpose);
    }
    let known = || {
        let names = manifest
            .models()
            .iter()
            .filter(|model| model.purpose == purpose)
            .map(|model| model.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    let name = name_or_path.to_owned();
    let Some(model) = manifest.model(&name) else {
        return Err(ModelError::Unknown {
            name,
            purpose,
            known: known(),
        });
    };
    if model.purpose != purpose {
        return Err(ModelError::WrongPurpose {
            name,
            found: model.purpose,
            purpose,
            known: known(),
        });
    }
    let mut files = Vec::new();
    let mut verified = true;
    for (index, file) in model.files.iter().enumerate() {
        let path = models_dir.join(file);
        verified &= check(model, index, &path)? == State::Verified;
        files.push(path);
    }
    Ok(Located {
        name,
        files,
        sample_rate: model.sample_rate,
        verified,
    })
}

/// Checks the files of the named models, or of all that have at least one file here if no name is given.
pub fn verify(manifest: &Manifest, models_dir: &Path, names: &[String]) -> Result<Vec<Report>, ModelError> {
    let is_here = |model: &&Model| model.files.iter().any(|file| models_dir.join(file).exists());
    let models: Vec<&Model> = match names {
        [] => manifest.models().iter().filter(is_here).collect(),
        _ => named(manifest, names)?,
    };
    let reports = models.into_iter().flat_map(|model| {
        model.files.iter().enumerate().map(move |(index, file)| {
            let file = models_dir.join(file);
            let state = match check(model, index, &file) {
                Ok(state) => state,
                Err(ModelError::Corrupt { expected, found, .. }) => State::Corrupt { expected, found },
                Err(ModelError::Missing { .. }) => State::Missing,
                Err(other) => State::Unreadable {
                    reason: other.to_string(),
                },
            };
            Report {
                model: model.name.clone(),
                file,
                state,
            }
        })
    });
    Ok(reports.collect())
}

/// The models of these names.
pub(super) fn named<'a>(manifest: &'a Manifest, names: &[String]) -> Result<Vec<&'a Model>, ModelError> {
    let find = |name: &String| {
        manifest
            .model(name)
            .ok_or_else(|| ModelError::NotInManifest { name: name.clone() })
    };
    names.iter().map(find).collect()
}

/// Compares one file with what any of the model's sources says it is.
pub(super) fn check(model: &Model, index: usize, file: &Path) -> Result<State, ModelError> {
    let (name, path) = (model.name.clone(), file.to_owned());
    let found = match sha256_of(file) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(ModelError::Missing { name, file: path });
        }
        Err(source) => return Err(ModelError::Read { file: path, source }),
    };
    let hashes: Option<Vec<&str>> = model
        .expected(index)
        .map(|expected| expected.sha256.as_deref())
        .collect();
    match hashes {
        Some(hashes) if hashes.contains(&found.as_str()) => Ok(State::Verified),
        Some(mut hashes) if !hashes.is_empty() => {
            hashes.sort_unstable();
            hashes.dedup();
            Err(ModelError::Corrupt {
                name,
                file: path,
                expected: hashes.join(" or "),
                found,
            })
        }
        // Some source has no hash, so the file may be that source's.
        _ if model
            .expected(index)
            .any(|expected| expected.sha256.as_ref() == Some(&found)) =>
        {
            Ok(State::Verified)
        }
        _ => Ok(State::Unpinned { sha256: found }),
    }
}

/// sha256 of a file, in lower-case hex.
pub(super) fn sha256_of(file: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(file)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; HASH_BUFFER_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            length => hasher.update(&buffer[..length]),
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn user_file(path: &str, purpose: Purpose) -> Result<Located, ModelError> {
    let file = PathBuf::from(path);
    if !file.is_file() {
        return Err(ModelError::NoSuchPath { file });
    }
    let mut files = vec![file];
    if purpose == Purpose::Tts {
        let config = PathBuf::from(format!("{path}.json"));
        if !config.is_file() {
            return Err(ModelError::NoVoiceConfig {
                voice: PathBuf::from(path),
                config,
            });
        }
        files.push(config);
    }
    Ok(Located {
        name: path.to_owned(),
        files,
        sample_rate: None,
        verified: false,
    })
}

const HASH_BUFFER_BYTES: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// sha256 of "good".
    const GOOD: &str = "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c";

    fn setup() -> (tempfile::TempDir, Manifest) {
        let text = format!(
            "[[model]]\nname = 'm'\npurpose = 'stt'\nsample_rate = 16000\nhf = 'a/b/m.bin'\nsha256 = '{GOOD}'\n\
             [[model]]\nname = 'v'\npurpose = 'tts'\nhf = 'a/b/v.onnx'\n"
        );
        let manifest = Manifest::parse(&text, Path::new("m.toml")).unwrap();
        (tempfile::tempdir().unwrap(), manifest)
    }

    #[test]
    fn an_intact_file_is_found_and_a_flipped_byte_is_told() {
        let (dir, manifest) = setup();
        let file = dir.path().join("m.bin");
        let locate = || locate(&manifest, dir.path(), "m", Purpose::Stt);
        assert_eq!(
            locate().unwrap_err().to_string(),
            format!("model `m`: {} is missing (run: tieline models pull m)", file.display())
        );
        std::fs::write(&file, "good").unwrap();
        let located = locate().unwrap();
        assert_eq!(
            (located.path(), located.sample_rate, located.verified),
            (file.as_path(), Some(16000), true)
        );
        std::fs::write(&file, "gooe").unwrap();
        let found = hex(&Sha256::digest("gooe"));
        assert_eq!(
            locate().unwrap_err().to_string(),
            format!(
                "model `m`: {} is corrupt: expected sha256 {GOOD}, found {found} (run: tieline models pull m)",
                file.display()
            )
        );
        let reports = verify(&manifest, dir.path(), &["m".to_owned()]).unwrap();
        assert_eq!(
            reports[0].state,
            State::Corrupt {
                expected: GOOD.to_owned(),
                found
            }
        );
    }

    #[test]
    fn a_wrong_name_lists_the_right_ones() {
        let (dir, manifest) = setup();
        let message = |name| {
            locate(&manifest, dir.path(), name, Purpose::Stt)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            message("large"),
            "there is no model named `large`; known for stt: m (run: tieline models list)"
        );
        assert!(message("v").starts_with("`v` is a model for tts, but one for stt is needed; known: m"));
    }

    #[test]
    fn a_users_path_is_taken_as_it_is() {
        let (dir, manifest) = setup();
        let voice = dir.path().join("mine.onnx");
        let text = voice.to_str().unwrap();
        let locate = || locate(&manifest, dir.path(), text, Purpose::Tts);
        assert!(matches!(locate(), Err(ModelError::NoSuchPath { .. })));
        std::fs::write(&voice, "anything").unwrap();
        assert!(locate().unwrap_err().to_string().contains("mine.onnx.json is missing"));
        std::fs::write(dir.path().join("mine.onnx.json"), "{}").unwrap();
        assert_eq!(locate().unwrap().files.len(), 2);
    }

    #[test]
    fn a_file_without_a_known_hash_is_accepted_and_told_apart() {
        let (dir, manifest) = setup();
        std::fs::write(dir.path().join("v.onnx"), "good").unwrap();
        let reports = verify(&manifest, dir.path(), &[]).unwrap();
        let states: Vec<_> = reports.iter().map(|report| &report.state).collect();
        assert_eq!(
            states,
            [
                &State::Unpinned {
                    sha256: GOOD.to_owned()
                },
                &State::Missing
            ]
        );
    }
}
