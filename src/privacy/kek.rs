//! Key-encryption keys: they wrap the data keys of all records and are kept apart from them.
//!
//! They come from a file, a systemd credential or the environment, as lines of base64; the first wraps, all of them open, so that one can
//! replace another while servers run. Each has an id, computed from it, which is stored beside what it wrapped.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{fmt, str};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use hmac::Mac as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::seal::{DataKey, DoesNotOpen, KEY_BYTES, KeyBytes, joined, mac, open, random, seal};

/// Where the keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KekSource {
    /// Told directly, as lines of base64 or with commas between.
    Given(GivenKeys),
    /// A file of ours, made at the first start.
    File(PathBuf),
    /// The systemd credential `tieline-kek`, if it is there; otherwise a file.
    Credential {
        /// Where systemd puts credentials.
        directory: PathBuf,
        /// Where the keys are if there is no credential of ours.
        otherwise: PathBuf,
    },
}

/// Keys as text. `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct GivenKeys(Zeroizing<String>);

impl From<&str> for GivenKeys {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl fmt::Debug for GivenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The keys at hand. `Debug` shows their ids only; the bytes are wiped when it goes.
#[derive(Clone)]
pub struct KeyRing {
    keys: Vec<Kek>,
}

#[derive(Clone)]
struct Kek {
    id: String,
    bytes: KeyBytes,
}

/// Why there are no keys, or no good ones. Shows no part of a key.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// Others than its owner may get at the file.
    #[error("{} may be used by others than its owner (mode {mode:04o})", .path.display())]
    Loose {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("{} cannot be written: {source}", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line holds no key.
    #[error("{place}, line {line}, is not the base64 of 32 random bytes")]
    NoKey {
        /// The file or setting.
        place: String,
        /// From 1.
        line: usize,
    },
    /// No line holds one.
    #[error("{place} holds no key")]
    Empty {
        /// The file or setting.
        place: String,
    },
    /// The key is not in a file of ours.
    #[error("{place} is not a file that tieline may write")]
    NotOurs {
        /// The setting.
        place: String,
    },
}

/// Why a wrapped data key does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// The ring lacks the key that wrapped it.
    #[error("the key that wrapped it is not at hand")]
    NoSuchKek,
    /// It was altered, or belongs to another record.
    #[error(transparent)]
    DoesNotOpen(#[from] DoesNotOpen),
}

impl KekError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Loose { .. } => {
                "Let its owner alone read it: chmod 600. If others may have read it, run tieline keys rotate-kek, too"
            }
            Self::Unreadable { .. } | Self::Unwritable { .. } => {
                "Make it a file of the user that runs tieline, or set KEK_FILE to another path"
            }
            Self::NoKey { .. } | Self::Empty { .. } => {
                "Put the key back from your copy of it. A new one is made by: openssl rand -base64 32"
            }
            Self::NotOurs { .. } => {
                "Put a new key before the present one yourself (openssl rand -base64 32), restart the servers, and run this again"
            }
        }
    }
}

impl KeyRing {
    /// Reads the keys; `None` if the file that would hold them is not there.
    pub fn load(source: &KekSource) -> Result<Option<Self>, KekError> {
        let path = match source {
            KekSource::Given(keys) => return Self::parse(&keys.0, "KEK").map(Some),
            KekSource::File(path) => path,
            KekSource::Credential { directory, otherwise } => {
                &credential(directory).unwrap_or_else(|| otherwise.clone())
            }
        };
        let Some(text) = read(path)? else { return Ok(None) };
        Self::parse(&text, &path.display().to_string()).map(Some)
    }

    /// Makes the file that is not there yet, with a new key, for its owner alone. Whoever comes first makes it; all others read it.
    pub fn create(source: &KekSource) -> Result<Self, KekError> {
        let path = file(source)?;
        let fail = |source| KekError::Unwritable {
            path: path.to_owned(),
            source,
        };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(fail)?;
        }
        let aside = write_aside(
            path,
            &Self {
                keys: vec![Kek::random()],
            },
            None,
        )
        .map_err(fail)?;
        let named = fs::hard_link(&aside, path);
        fs::remove_file(&aside).map_err(fail)?;
        match named {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(fail(error)),
            Ok(()) => {
                sync_directory(path).map_err(fail)?;
                tracing::info!(
                    path = %path.display(),
                    "made the key that all records are encrypted with: {}. Keep a copy of it apart from the database's backups: \
                     without it nobody can read them, and with both anybody can",
                    path.display()
                );
            }
            Err(_) => {}
        }
        Self::load(source)?.ok_or_else(|| fail(io::ErrorKind::NotFound.into()))
    }

    /// Puts a new key before those of the file, which stay. The file is replaced at once, and its owner stays.
    pub fn add_new(source: &KekSource) -> Result<Self, KekError> {
        let path = file(source)?;
        let fail = |source| KekError::Unwritable {
            path: path.to_owned(),
            source,
        };
        let before = path.metadata().map_err(fail)?;
        // A link would be replaced by a file, and whatever it leads to left as it is.
        let path = &path.canonicalize().map_err(fail)?;
        let _alone = lock(path, &before).map_err(fail)?;
        let mut ring = Self::load(source)?.ok_or_else(|| fail(io::ErrorKind::NotFound.into()))?;
        ring.keys.insert(0, Kek::random());
        let aside = write_aside(path, &ring, Some(&before)).map_err(fail)?;
        fs::rename(&aside, path)
            .and_then(|()| sync_directory(path))
            .map_err(fail)?;
        Ok(ring)
    }

    /// Where the keys are, for people.
    pub fn place(source: &KekSource) -> String {
        match source {
            KekSource::Given(_) => "KEK".to_owned(),
            KekSource::File(path) => path.display().to_string(),
            KekSource::Credential { directory, otherwise } => {
                let path = credential(directory).unwrap_or_else(|| otherwise.clone());
                path.display().to_string()
            }
        }
    }

    /// The id of the key that is to wrap.
    pub fn first(&self) -> &str {
        &self.keys.first().expect("invariant: a ring has keys").id
    }

    /// The ids of all keys.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// Whether it has the key of that id.
    pub fn has(&self, id: &str) -> bool {
        self.ids().any(|known| known == id)
    }

    /// Wraps a data key by the key of that id.
    pub fn wrap(&self, kek_id: &str, key: &DataKey) -> Option<String> {
        let kek = self.keys.iter().find(|kek| kek.id == kek_id)?;
        Some(seal(&kek.bytes, &bound(kek_id, key.id()), key.bytes()))
    }

    /// Opens a data key, which must be the one of that id.
    pub fn unwrap(&self, kek_id: &str, id: &str, wrapped: &str) -> Result<DataKey, UnwrapError> {
        let kek = self.keys.iter().find(|kek| kek.id == kek_id);
        let kek = kek.ok_or(UnwrapError::NoSuchKek)?;
        let bytes = Zeroizing::new(open(&kek.bytes, &bound(kek_id, id), wrapped)?);
        let bytes: [u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| DoesNotOpen)?;
        Ok(DataKey::of(id.to_owned(), Zeroizing::new(bytes)))
    }

    fn parse(text: &str, place: &str) -> Result<Self, KekError> {
        let mut keys: Vec<Kek> = Vec::new();
        for (index, line) in text.split(['\n', ',']).enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = Kek::parse(line).ok_or_else(|| KekError::NoKey {
                place: place.to_owned(),
                line: index + 1,
            })?;
            if !keys.iter().any(|known| known.id == key.id) {
                keys.push(key);
            }
        }
        if keys.is_empty() {
            let place = place.to_owned();
            return Err(KekError::Empty { place });
        }
        Ok(Self { keys })
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

impl Kek {
    fn random() -> Self {
        Self::of(Zeroizing::new(random()))
    }

    fn of(bytes: KeyBytes) -> Self {
        let mut mac = mac(&bytes);
        mac.update(b"tieline key-encryption key id");
        let id = mac.finalize().into_bytes();
        let id = id.iter().take(ID_BYTES).map(|byte| format!("{byte:02x}")).collect();
        Self { id, bytes }
    }

    /// Not what somebody typed to try it out: all bytes alike.
    fn parse(line: &str) -> Option<Self> {
        let bytes = Zeroizing::new(LENIENT.decode(line).ok()?);
        let bytes: KeyBytes = Zeroizing::new(bytes.as_slice().try_into().ok()?);
        let alike = bytes.iter().all(|byte| *byte == bytes[0]);
        (!alike).then(|| Self::of(bytes))
    }
}

/// What is authenticated beside a wrapped key: whose it is, so that no two can be swapped.
fn bound(kek_id: &str, id: &str) -> Vec<u8> {
    joined(b"tieline data key", &[kek_id.as_bytes(), id.as_bytes()])
}

/// The one file that may be written.
fn file(source: &KekSource) -> Result<&Path, KekError> {
    match source {
        KekSource::File(path) => Ok(path),
        KekSource::Credential { directory, otherwise } if credential(directory).is_none() => Ok(otherwise),
        KekSource::Given(_) | KekSource::Credential { .. } => Err(KekError::NotOurs {
            place: KeyRing::place(source),
        }),
    }
}

/// What systemd has put there for us.
fn credential(directory: &Path) -> Option<PathBuf> {
    let path = directory.join(CREDENTIAL);
    path.exists().then_some(path)
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>, KekError> {
    let fail = |source| KekError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let metadata = match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(fail)?,
    };
    if let Some(mode) = loose(&metadata) {
        let path = path.to_owned();
        return Err(KekError::Loose { path, mode });
    }
    if metadata.len() > LONGEST_FILE {
        return Err(fail(io::ErrorKind::FileTooLarge.into()));
    }
    fs::read_to_string(path)
        .map(|text| Some(Zeroizing::new(text)))
        .map_err(fail)
}

/// The permissions, if they let others in. A file of another owner can only be given to us through its group, which is how systemd
/// and Kubernetes do it.
#[cfg(unix)]
fn loose(metadata: &fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = metadata.mode() & 0o777;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    let closed = if ours { 0o077 } else { 0o037 };
    (mode & closed != 0).then_some(mode)
}

#[cfg(not(unix))]
fn loose(_: &fs::Metadata) -> Option<u32> {
    None
}

/// Writes the keys beside the file, so that nobody reads half of them; gives the path.
fn write_aside(path: &Path, ring: &KeyRing, owner: Option<&fs::Metadata>) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut aside = name.to_owned();
    aside.push(format!(".{:016x}", rand::random::<u64>()));
    let aside = path.with_file_name(aside);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&aside)?;
    let written = give(&file, owner)
        .and_then(|()| file.write_all(ring.to_text().as_bytes()))
        .and_then(|()| file.sync_all());
    if let Err(error) = written {
        fs::remove_file(&aside)?;
        return Err(error);
    }
    Ok(aside)
}

/// Until it is dropped nobody else adds a key, which would be lost. On a file beside it, as the keys' own is replaced.
fn lock(path: &Path, owner: &fs::Metadata) -> io::Result<fs::File> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_owned();
    name.push(".lock");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path.with_file_name(name))?;
    give(&file, Some(owner))?;
    file.lock()?;
    Ok(file)
}

/// To the owner of another file: the one who runs this command may not be the one who runs the server.
#[cfg(unix)]
fn give(file: &fs::File, owner: Option<&fs::Metadata>) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    match owner {
        Some(owner) => fchown(file, Some(owner.uid()), Some(owner.gid())),
        None => Ok(()),
    }
}

#[cfg(not(unix))]
fn give(_: &fs::File, _: Option<&fs::Metadata>) -> io::Result<()> {
    Ok(())
}

impl KeyRing {
    fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(HEADING.to_owned());
        for (index, key) in self.keys.iter().enumerate() {
            let what = if index == 0 { "wraps" } else { "opens only" };
            let mut line = BASE64_STANDARD.encode(*key.bytes);
            text.push_str(&format!("# {} {what}\n", key.id));
            text.push_str(&line);
            text.push('\n');
            line.zeroize();
        }
        text
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    fs::File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// With padding or without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// The name of our systemd credential.
const CREDENTIAL: &str = "tieline-kek";
const ID_BYTES: usize = 8;
/// A thousand keys.
const LONGEST_FILE: u64 = 65_536;
const HEADING: &str = "# The keys that wrap the keys of all records. Whoever has this file and the database can read everything;\n\
     # without it nobody can. Keep a copy apart from the database's backups.\n";

#[cfg(test)]
#[path = "kek_tests.rs"]
mod tests;
