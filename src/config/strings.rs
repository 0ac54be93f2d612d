//! The raw strings: environment over `.env` file. The only file access of the configuration is [`gather`].

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::{fmt, fs};

use super::error::ConfigError;
use super::keys::KEYS;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The process environment.
    Environment,
    /// A `.env` file, as the caller named it.
    File(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("the environment"),
            Self::File(path) => f.write_str(path),
        }
    }
}

/// Known keys with their raw values, trimmed, never empty. `Debug` shows the keys only: values may be secret.
#[derive(Clone, Default)]
pub struct Strings {
    values: BTreeMap<String, (String, Origin)>,
    warnings: Vec<String>,
}

/// Reads the `.env` file, if any, and lays the environment over it.
///
/// A file that does not exist counts as empty: everything may come from the environment. Values that are empty or only
/// spaces count as unset, so `KEY=` in the environment does not hide the file's value.
pub fn gather(env: impl Iterator<Item = (String, String)>, dotenv: Option<&Path>) -> Result<Strings, ConfigError> {
    let mut strings = Strings::default();
    if let Some(path) = dotenv {
        let name = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(text) => strings.add_file(&text, &name)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ConfigError::Unreadable { path: name, source }),
        }
    }
    for (key, value) in env.filter(|(key, _)| is_known(key)) {
        strings.set(key, &value, Origin::Environment);
    }
    Ok(strings)
}

impl Strings {
    /// The value of a key and where it came from; `None` when unset.
    pub fn get(&self, key: &str) -> Option<(&str, &Origin)> {
        self.values.get(key).map(|(value, origin)| (value.as_str(), origin))
    }

    /// The keys that are set, and where their values came from.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.values.iter().map(|(key, (_, origin))| (key.as_str(), origin))
    }

    /// What is odd about the `.env` file without being wrong: unknown keys, keys given twice.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn set(&mut self, key: String, value: &str, origin: Origin) {
        let value = value.trim();
        if !value.is_empty() {
            self.values.insert(key, (value.to_owned(), origin));
        }
    }

    /// Adds the text of a `.env` file. The last of two equal keys counts, as in a shell.
    fn add_file(&mut self, text: &str, path: &str) -> Result<(), ConfigError> {
        let lines_read = Cell::new(0);
        let reader = OneLineAtATime {
            rest: text.trim_start_matches('\u{feff}').as_bytes(),
            lines_read: &lines_read,
        };
        let mut seen = Vec::new();
        for item in dotenvy::from_read_iter(reader) {
            let (key, value) = item.map_err(|error| bad_line(error, path, text, lines_read.get()))?;
            if seen.contains(&key) {
                self.warnings
                    .push(format!("{key} is given twice in {path}; the last one counts"));
            } else if !is_known(&key) {
                self.warnings.push(unknown(&key, path));
            }
            if is_known(&key) {
                self.set(key.clone(), &value, Origin::File(path.to_owned()));
            }
            seen.push(key);
        }
        Ok(())
    }
}

impl fmt::Debug for Strings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// Strings as if from the environment: for tests and for callers that have a map already.
impl<K: Into<String>, V: AsRef<str>> FromIterator<(K, V)> for Strings {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut strings = Self::default();
        for (key, value) in pairs {
            strings.set(key.into(), value.as_ref(), Origin::Environment);
        }
        strings
    }
}

/// dotenvy names no line numbers. Fed one line per read, its buffer cannot run ahead, so the lines read are the position.
struct OneLineAtATime<'a> {
    rest: &'a [u8],
    lines_read: &'a Cell<usize>,
}

impl Read for OneLineAtATime<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let line = self
            .rest
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(self.rest.len(), |at| at + 1);
        let taken = line.min(buffer.len());
        buffer[..taken].copy_from_slice(&self.rest[..taken]);
        self.rest = &self.rest[taken..];
        if taken == line && taken > 0 {
            self.lines_read.set(self.lines_read.get() + 1);
        }
        Ok(taken)
    }
}

/// An assignment may span lines (an open quote): the number given is that of its first line.
fn bad_line(error: dotenvy::Error, path: &str, text: &str, lines_read: usize) -> ConfigError {
    let path = path.to_owned();
    // dotenvy gives back the whole assignment or only its value; either spans the same lines.
    let dotenvy::Error::LineParse(faulty, _) = error else {
        return ConfigError::Unreadable {
            path,
            source: io::Error::other(error),
        };
    };
    let line = (lines_read + 1)
        .saturating_sub(faulty.lines().count())
        .clamp(1, lines_read.max(1));
    let first_line = text
        .trim_start_matches('\u{feff}')
        .lines()
        .nth(line - 1)
        .unwrap_or_default();
    let key = first_line
        .split_once('=')
        .map(|(key, _)| key.trim().trim_start_matches("export ").trim());
    // Only a known key is repeated: anything else on a broken line may be part of a secret.
    let subject = key.filter(|key| is_known(key)).unwrap_or("the line").to_owned();
    ConfigError::Line { path, line, subject }
}

fn is_known(key: &str) -> bool {
    KEYS.iter().any(|known| known.name == key)
}

fn unknown(key: &str, path: &str) -> String {
    let upper = key.to_uppercase();
    let nearest = KEYS
        .iter()
        .map(|known| (edit_distance(&upper, known.name), known.name))
        .min();
    match nearest {
        Some((distance, name)) if distance <= MAX_TYPO && distance * 2 < name.len() => {
            format!("unknown key {key} in {path}; did you mean {name}?")
        }
        _ => format!("unknown key {key} in {path}; .env.example lists the keys there are"),
    }
}

/// Levenshtein's distance in bytes: insertions, deletions and replacements.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// More differences than this are no typing error.
const MAX_TYPO: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Strings, ConfigError> {
        let mut strings = Strings::default();
        strings.add_file(text, ".env").map(|()| strings)
    }

    fn value<'a>(strings: &'a Strings, key: &str) -> Option<&'a str> {
        strings.get(key).map(|(value, _)| value)
    }

    #[test]
    fn environment_over_file_and_empty_counts_as_unset() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join(".env");
        fs::write(
            &path,
            "\u{feff}AGENT=from-file\nLOG='debug' # why\nexport STT_MODEL=base\nLLM_MODEL=\n",
        )
        .expect("a writable directory");
        let env = [("AGENT", "from-env"), ("STT_MODEL", "  "), ("HOME", "/root")];
        let env = env.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
        let strings = gather(env, Some(&path)).expect("a good file");
        assert_eq!(strings.get("AGENT"), Some(("from-env", &Origin::Environment)));
        assert_eq!(
            strings.get("LOG"),
            Some(("debug", &Origin::File(path.display().to_string())))
        );
        assert_eq!(value(&strings, "STT_MODEL"), Some("base"));
        assert_eq!(value(&strings, "LLM_MODEL"), None);
        assert_eq!(value(&strings, "HOME"), None);
        assert!(strings.warnings().is_empty());
    }

    #[test]
    fn a_missing_file_is_empty_and_an_unreadable_one_an_error() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert!(gather(std::iter::empty(), Some(&dir.path().join("none"))).is_ok());
        let message = gather(std::iter::empty(), Some(dir.path()))
            .expect_err("a directory is no file")
            .to_string();
        assert!(message.contains("cannot be read"), "{message}");
    }

    #[test]
    fn a_broken_line_is_named_by_number_and_never_shown() {
        let cases = [
            (
                "# one\n\nAGENT=x\nLLM_API_KEY=sk hidden\nLOG=info\n",
                ".env:4: LLM_API_KEY is not",
            ),
            ("AGENT=x\nhidden\n", ".env:2: the line is not"),
            (
                "AGENT=x\n\nTWILIO_AUTH_TOKEN='hidden\nLOG=info\n\n# end\nBIND=1\n",
                ".env:3: TWILIO_AUTH_TOKEN is not",
            ),
            ("TTS_VOICE=\"two\nlines\"\nAGENT=hidden x", ".env:3: AGENT is not"),
            ("hidden=x y\r\n", ".env:1: the line is not"),
        ];
        for (text, expected) in cases {
            let message = file(text).expect_err("a broken line").to_string();
            assert!(
                message.starts_with(expected) && message.contains("single quotes"),
                "{message}"
            );
            assert!(!message.contains("hidden"), "{message}");
        }
    }

    #[test]
    fn unknown_and_repeated_keys_are_warned_of() {
        let strings = file("LLM_BASEURL=http://x/v1\nllm_model=a\nFOO=1\nAGENT=a\nAGENT=b\n").expect("good lines");
        assert_eq!(
            strings.warnings(),
            [
                "unknown key LLM_BASEURL in .env; did you mean LLM_BASE_URL?",
                "unknown key llm_model in .env; did you mean LLM_MODEL?",
                "unknown key FOO in .env; .env.example lists the keys there are",
                "AGENT is given twice in .env; the last one counts",
            ]
        );
        assert_eq!(value(&strings, "AGENT"), Some("b"));
    }

    #[test]
    fn debug_shows_no_value() {
        let strings: Strings = [("LLM_API_KEY", "hidden")].into_iter().collect();
        assert_eq!(format!("{strings:?}"), "{\"LLM_API_KEY\"}");
    }

    #[test]
    fn edit_distance_counts_edits() {
        for (a, b, expected) in [
            ("", "abc", 3),
            ("BIND", "BIND", 0),
            ("LLM_BASEURL", "LLM_BASE_URL", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edit_distance(a, b), expected, "{a} {b}");
        }
    }
}
