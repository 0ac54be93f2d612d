//! The manifest as it is written, and the checks on the way to [`Model`].

use serde::Deserialize;
use toml::Spanned;

use super::{Expected, Model, Origin, Purpose, Recipe, Source, is_weights_file};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawManifest {
    #[serde(default)]
    pub(super) model: Vec<Spanned<RawModel>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawModel {
    name: String,
    purpose: Purpose,
    licence: Option<String>,
    sample_rate: Option<u32>,
    file: Option<String>,
    /// Short for a single source.
    hf: Option<String>,
    sha256: Option<String>,
    #[serde(default)]
    source: Vec<RawSource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSource {
    hf: Option<String>,
    #[serde(default)]
    pip: Vec<String>,
    #[serde(default)]
    members: Vec<String>,
    convert: Option<RawConvert>,
    vocabulary: Option<String>,
    platform: Option<String>,
    bytes: Option<u64>,
    sha256: Option<String>,
    #[serde(default)]
    config: RawConfig,
}

/// The second file of a Piper voice.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    bytes: Option<u64>,
    sha256: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum RawConvert {
    #[serde(rename = "ct2-to-ggml")]
    Ct2ToGgml,
}

impl RawModel {
    /// The error says what is wrong, but not where.
    pub(super) fn check(mut self) -> Result<Model, String> {
        if let Some(hf) = self.hf.take() {
            self.source.insert(
                0,
                RawSource {
                    hf: Some(hf),
                    sha256: self.sha256.take(),
                    ..RawSource::default()
                },
            );
        }
        let name = self.name;
        if name.is_empty() || name.contains('/') || is_weights_file(&name) {
            return Err(format!(
                "`{name}` would be taken for a path; choose a name without / and without .bin, .onnx, .gguf"
            ));
        }
        let first_hf = self.source.iter().find_map(|source| source.hf.as_deref());
        let file = self.file.or_else(|| first_hf.map(|hf| file_name(hf).to_owned()));
        let file = file.ok_or_else(|| format!("`{name}` needs `file` or a source with `hf`"))?;
        let mut files = vec![file];
        if self.purpose == Purpose::Tts {
            files.push(format!("{}.json", files[0]));
        }
        if let Some(bad) = files.iter().find(|file| !is_flat(file)) {
            return Err(format!("`{name}`: `{bad}` is not a plain file name"));
        }
        if self.source.is_empty() {
            return Err(format!("`{name}` has no source"));
        }
        let here = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        let fits = |source: &RawSource| source.platform.as_ref().is_none_or(|platform| *platform == here);
        let sources: Result<Vec<_>, _> = self
            .source
            .into_iter()
            .filter(fits)
            .map(|source| source.check(files.len()))
            .collect();
        Ok(Model {
            purpose: self.purpose,
            licence: self.licence.unwrap_or_else(|| "see its source".to_owned()),
            sample_rate: self.sample_rate,
            sources: sources.map_err(|message| format!("`{name}`: {message}"))?,
            name,
            files,
        })
    }
}

impl RawSource {
    fn check(self, files: usize) -> Result<Source, String> {
        let config = Expected {
            bytes: self.config.bytes,
            sha256: self.config.sha256.clone(),
        };
        let main = Expected {
            bytes: self.bytes,
            sha256: self.sha256.clone(),
        };
        let mut digests = vec![main, config];
        digests.truncate(files);
        if let Some(bad) = digests
            .iter()
            .filter_map(|expected| expected.sha256.as_ref())
            .find(|hash| !is_sha256(hash))
        {
            return Err(format!("`{bad}` is not a sha256 in lower-case hex"));
        }
        let origin = match &self.hf {
            Some(hf) if self.pip.is_empty() && self.members.is_empty() => hugging_face(hf)?,
            None if !self.pip.is_empty() && !self.members.is_empty() => self.pip(files)?,
            _ => return Err("a source has either `hf`, or `pip` and `members`".to_owned()),
        };
        Ok(Source { origin, digests })
    }

    fn pip(self, files: usize) -> Result<Origin, String> {
        if let Some(bad) = self.pip.iter().find(|package| !is_pinned_package(package)) {
            return Err(format!("`{bad}` is not of the form name==version"));
        }
        let ct2_vocabulary = match (self.convert, self.vocabulary) {
            (Some(RawConvert::Ct2ToGgml), Some(member)) => Some(member),
            (None, None) => None,
            _ => return Err("`convert` and `vocabulary` go together".to_owned()),
        };
        let config = self.members.first().map(|member| format!("{member}.json"));
        let mut recipes = vec![Recipe {
            members: self.members,
            ct2_vocabulary,
        }];
        recipes.extend(config.map(|member| Recipe {
            members: vec![member],
            ct2_vocabulary: None,
        }));
        recipes.truncate(files);
        Ok(Origin::Pip {
            packages: self.pip,
            recipes,
        })
    }
}

/// `owner/repository/path/in/it@revision`; the revision may be left out.
fn hugging_face(text: &str) -> Result<Origin, String> {
    let (place, revision) = text.split_once('@').unwrap_or((text, "main"));
    let mut parts = place.splitn(3, '/');
    let (Some(owner), Some(repository), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(format!("`{text}` is not of the form owner/repository/path@revision"));
    };
    let is_plain = |part: &str| {
        !part.is_empty()
            && part.split('/').all(|step| !matches!(step, "" | "." | ".."))
            && part.chars().all(is_url_safe)
    };
    if [owner, repository, path, revision]
        .into_iter()
        .any(|part| !is_plain(part))
    {
        return Err(format!("`{text}` has an empty or unusual part"));
    }
    let repository = format!("{owner}/{repository}");
    Ok(Origin::HuggingFace {
        repository,
        revision: revision.to_owned(),
        path: path.to_owned(),
    })
}

fn file_name(hf: &str) -> &str {
    let place = hf.split_once('@').map_or(hf, |(place, _)| place);
    place.rsplit_once('/').map_or(place, |(_, name)| name)
}

fn is_flat(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && name.chars().all(|letter| letter != '/' && is_url_safe(letter))
}

fn is_url_safe(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-_.+/".contains(letter)
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Nothing that pip could take for an option, a URL or a path.
fn is_pinned_package(text: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_alphanumeric())
            && word
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "-_.+".contains(letter))
    };
    text.split_once("==")
        .is_some_and(|(name, version)| is_word(name) && is_word(version))
}
