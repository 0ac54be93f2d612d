//! Values under seal: each record has a data key of its own, and each value is bound to its place.
//!
//! XChaCha20-Poly1305; its nonces of 192 bits are random. What is authenticated beside a value says in which table, column and record
//! it belongs, so that a value that was moved does not open. Data keys lie in the database, wrapped by a [key-encryption key](super::kek);
//! who deletes a data key has deleted all it sealed.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

/// The key of one record. `Debug` shows its id only; the bytes are wiped when it goes.
#[derive(Clone)]
pub struct DataKey {
    id: String,
    bytes: KeyBytes,
}

/// Where a sealed value belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The table's name.
    pub table: &'static str,
    /// The column's name.
    pub column: &'static str,
    /// What names the record in it. No PHI: errors show it.
    pub record: &'a str,
}

/// It was altered, or sealed by another key or for another place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it does not open: it was altered, or belongs elsewhere")]
pub struct DoesNotOpen;

/// Hashes what is looked up by, so that equal texts are found without being there. Who lacks the key cannot try texts.
#[derive(Clone)]
pub struct IndexKey(KeyBytes);

pub(super) type KeyBytes = Zeroizing<[u8; KEY_BYTES]>;

impl DataKey {
    /// A new key. Its id says what it is the key of.
    pub fn random(id: impl Into<String>) -> Self {
        Self::of(id.into(), Zeroizing::new(random()))
    }

    pub(super) fn of(id: String, bytes: KeyBytes) -> Self {
        Self { id, bytes }
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    /// What it is the key of. No PHI.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals a text for its place.
    pub fn seal(&self, place: Place<'_>, text: &str) -> String {
        seal(&self.bytes, &place.bound(), text.as_bytes())
    }

    /// Opens what was sealed for this place.
    pub fn open(&self, place: Place<'_>, sealed: &str) -> Result<String, DoesNotOpen> {
        let text = open(&self.bytes, &place.bound(), sealed)?;
        String::from_utf8(text).map_err(|_| DoesNotOpen)
    }

    /// A key for another purpose, from which this one cannot be told.
    pub(super) fn derive(&self, purpose: &[u8], context: &[&[u8]]) -> KeyBytes {
        let mut mac = mac(&self.bytes);
        mac.update(&joined(purpose, context));
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Place<'_> {
    fn bound(&self) -> Vec<u8> {
        joined(
            b"tieline value",
            &[self.table.as_bytes(), self.column.as_bytes(), self.record.as_bytes()],
        )
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} of {}", self.table, self.column, self.record)
    }
}

impl IndexKey {
    /// The one that belongs to a data key.
    pub fn of(key: &DataKey) -> Self {
        Self(key.derive(b"tieline index", &[]))
    }

    /// 32 hexadecimal digits that stand for a text in a column. In another column the same text has others.
    pub fn hash(&self, column: &str, text: &str) -> String {
        let mut mac = mac(&self.0);
        mac.update(&joined(b"tieline look-up", &[column.as_bytes(), text.as_bytes()]));
        let hash = mac.finalize().into_bytes();
        hash.iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IndexKey")
    }
}

pub(super) fn seal(key: &[u8; KEY_BYTES], bound: &[u8], text: &[u8]) -> String {
    let nonce: [u8; NONCE_BYTES] = random();
    let payload = Payload { msg: text, aad: bound };
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt(&XNonce::from(nonce), payload)
        .expect("invariant: no text has 256 GiB");
    format!(
        "{VERSION}{}",
        BASE64_URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())
    )
}

pub(super) fn open(key: &[u8; KEY_BYTES], bound: &[u8], sealed: &str) -> Result<Vec<u8>, DoesNotOpen> {
    let sealed = sealed.strip_prefix(VERSION).ok_or(DoesNotOpen)?;
    let sealed = BASE64_URL_SAFE_NO_PAD.decode(sealed).map_err(|_| DoesNotOpen)?;
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(DoesNotOpen)?;
    let payload = Payload {
        msg: sealed,
        aad: bound,
    };
    XChaCha20Poly1305::new(key.into())
        .decrypt(nonce.into(), payload)
        .map_err(|_| DoesNotOpen)
}

/// Each part with its length, so that none can be mistaken for the end of another.
pub(super) fn joined(purpose: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = purpose.to_vec();
    for part in parts {
        joined.extend_from_slice(&(part.len() as u64).to_le_bytes());
        joined.extend_from_slice(part);
    }
    joined
}

pub(super) fn mac(key: &[u8; KEY_BYTES]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("invariant: HMAC takes keys of any length")
}

/// From the operating system, which every process has to itself after a fork, too.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if OsRng.try_fill_bytes(&mut bytes).is_err() {
        bytes.zeroize();
        panic!("the operating system has no random numbers: nothing can be encrypted");
    }
    bytes
}

pub(super) const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// Half of SHA-256: two of 2⁶⁴ texts collide.
const HASH_BYTES: usize = 16;
/// How the rest is to be read.
const VERSION: &str = "1:";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place<'static> = Place {
        table: "turns",
        column: "said_sealed",
        record: "CA1/2",
    };

    proptest! {
        #[test]
        fn what_is_sealed_opens_in_its_place(text in any::<String>()) {
            let key = DataKey::random("call/CA1");
            let sealed = key.seal(PLACE, &text);
            prop_assert_eq!(key.open(PLACE, &sealed), Ok(text.clone()));
            prop_assert_ne!(key.seal(PLACE, &text), sealed, "no two seals are alike");
        }

        #[test]
        fn what_was_altered_does_not_open(text in ".{1,40}", at in any::<prop::sample::Index>(), other in any::<char>()) {
            let key = DataKey::random("call/CA1");
            let sealed: Vec<char> = key.seal(PLACE, &text).chars().collect();
            let mut altered = sealed.clone();
            *at.get_mut(&mut altered) = other;
            let altered: String = altered.into_iter().collect();
            if altered.chars().ne(sealed.iter().copied()) {
                prop_assert_eq!(key.open(PLACE, &altered), Err(DoesNotOpen));
            }
        }

        #[test]
        fn what_was_never_sealed_does_not_open(text in any::<String>()) {
            prop_assert_eq!(DataKey::random("x").open(PLACE, &text), Err(DoesNotOpen));
            prop_assert_eq!(DataKey::random("x").open(PLACE, &format!("1:{text}")), Err(DoesNotOpen));
        }
    }

    #[test]
    fn nothing_opens_elsewhere() {
        let key = DataKey::random("call/CA1");
        let sealed = key.seal(PLACE, "yes");
        let elsewhere = [
            Place {
                table: "calls",
                ..PLACE
            },
            Place {
                column: "heard_sealed",
                ..PLACE
            },
            Place {
                record: "CA1/3",
                ..PLACE
            },
        ];
        for place in elsewhere {
            assert_eq!(key.open(place, &sealed), Err(DoesNotOpen), "{place}");
        }
        assert_eq!(DataKey::random("call/CA1").open(PLACE, &sealed), Err(DoesNotOpen));
        let shortened = &sealed[..sealed.len() - 2];
        assert_eq!(key.open(PLACE, shortened), Err(DoesNotOpen));
    }

    #[test]
    fn a_hash_tells_equal_texts_of_one_column_and_key() {
        let (key, other) = (DataKey::random("index"), DataKey::random("index"));
        let index = IndexKey::of(&key);
        let hash = index.hash("customers.phone", "+12125550101");
        assert!(hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(IndexKey::of(&key).hash("customers.phone", "+12125550101"), hash);
        assert_ne!(index.hash("calls.from", "+12125550101"), hash);
        assert_ne!(IndexKey::of(&other).hash("customers.phone", "+12125550101"), hash);
        // The parts cannot be moved into one another.
        assert_ne!(index.hash("a", "bc"), index.hash("ab", "c"));
    }

    #[test]
    fn debug_shows_no_key() {
        let key = DataKey::random("call/CA1");
        let shown = format!("{key:?} {:?}", IndexKey::of(&key));
        assert_eq!(shown, "DataKey { id: \"call/CA1\", .. } IndexKey");
    }
}
