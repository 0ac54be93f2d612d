//! The key that `tieline call` signs with where no auth token is set: a secret that whoever may read `DATA_DIR` shares with the server,
//! so that a server without settings takes calls of its own machine and nobody else's.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::config::{Config, Secret};

/// The key, made at its first use. `None` where there is a real one, where none is needed, or where there is no place to keep it.
pub(super) fn of(config: &Config) -> Option<Secret> {
    if config.twilio.unverified || config.twilio.signing_keys().0.is_some() {
        return None;
    }
    let dir = &config.server.data_dir;
    match key(dir) {
        Ok(key) => Some(Secret::new(key)),
        Err(error) => {
            tracing::warn!("{FILE} in DATA_DIR {} cannot be used: {error}", dir.display());
            None
        }
    }
}

/// Whoever comes first makes it; all others read it.
fn key(dir: &Path) -> std::io::Result<String> {
    let path = dir.join(FILE);
    if !path.exists() {
        make(dir, &path)?;
    }
    let key = std::fs::read_to_string(&path)?.trim().to_owned();
    if key.len() < SHORTEST {
        return Err(std::io::Error::new(
            ErrorKind::InvalidData,
            "it holds no key; delete it",
        ));
    }
    Ok(key)
}

/// Writes the key aside and then gives it its name, so that nobody reads half of it.
fn make(dir: &Path, path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let key = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let aside = dir.join(format!("{FILE}.{:016x}", rand::random::<u64>()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&aside)?.write_all(key.as_bytes())?;
    let named = match std::fs::hard_link(&aside, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        named => named,
    };
    std::fs::remove_file(&aside)?;
    named
}

const FILE: &str = "local-caller.key";
/// Characters of a key.
const SHORTEST: usize = 43;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let data = dir.path().join("new");
        let first = key(&data).expect("made");
        assert_eq!(first.len(), SHORTEST);
        assert_eq!(key(&data).expect("read"), first);
        assert_ne!(key(&dir.path().join("other")).expect("made"), first);
        #[cfg(unix)]
        {
            let file = data.join(FILE).metadata().expect("the file");
            assert_eq!(
                std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777,
                0o600
            );
        }
        std::fs::write(data.join(FILE), "\n").expect("written");
        assert!(key(&data).is_err(), "an empty key opens nothing");
    }

    #[test]
    fn where_there_is_a_token_nothing_is_made() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let data = dir.path().join("new");
        let strings = [
            ("TWILIO_AUTH_TOKEN", "t0ken"),
            ("DATA_DIR", data.to_str().expect("UTF-8")),
        ];
        let config = Config::parse(&strings.into_iter().collect()).expect("a good configuration");
        assert!(of(&config).is_none() && !data.exists());
    }
}
