//! A chain of records: each holds the MAC of the one before it, so that none can be edited, removed, moved or put in between.
//!
//! HMAC-SHA-256 by a key that is derived from a data key: who can write where the records lie, and has no key-encryption key, cannot make a
//! link. What a chain cannot tell by itself is that its end was cut off, or all of it put back to an earlier state: the end is marked apart and
//! sealed, and an [`Anchor`] that is kept elsewhere tells the rest.

use std::fmt;
use std::str::FromStr;

use hmac::Mac as _;
use subtle::ConstantTimeEq as _;

use super::seal::{DataKey, KeyBytes, joined, mac};

/// What links are made with.
#[derive(Clone)]
pub struct ChainKey(KeyBytes);

/// A place in a chain: a number, and the MAC of the record there. Reads and writes as `17:5e0f…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The record's number, from 1; 0 is before the first.
    pub seq: i64,
    /// 64 hexadecimal digits.
    pub mac: String,
}

/// Not a place in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a number, a colon and 64 hexadecimal digits, as `tieline data audit head` prints them")]
pub struct NoAnchor;

impl ChainKey {
    /// The one that belongs to a data key.
    pub fn of(key: &DataKey) -> Self {
        Self(key.derive(b"tieline audit chain", &[]))
    }

    /// The MAC of a record: of its number, its time and its fields, among them the MAC of the record before.
    pub fn link(&self, seq: i64, at_ms: i64, fields: &[&str]) -> String {
        let (seq, at_ms) = (seq.to_le_bytes(), at_ms.to_le_bytes());
        let fields = fields.iter().map(|field| field.as_bytes());
        let parts: Vec<&[u8]> = [&seq[..], &at_ms[..]].into_iter().chain(fields).collect();
        self.mac(b"tieline audit event", &parts)
    }

    /// What proves that a mark of that name was set here by who has the key.
    pub fn seal(&self, name: &str, anchor: &Anchor) -> String {
        let parts = [name.as_bytes(), &anchor.seq.to_le_bytes(), anchor.mac.as_bytes()];
        self.mac(b"tieline audit mark", &parts)
    }

    fn mac(&self, purpose: &[u8], parts: &[&[u8]]) -> String {
        let mut mac = mac(&self.0);
        mac.update(&joined(purpose, parts));
        let digest = mac.finalize().into_bytes();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainKey")
    }
}

impl Anchor {
    /// Before the first record.
    pub fn start() -> Self {
        Self {
            seq: 0,
            mac: "0".repeat(MAC_DIGITS),
        }
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.mac)
    }
}

impl FromStr for Anchor {
    type Err = NoAnchor;

    fn from_str(text: &str) -> Result<Self, NoAnchor> {
        let (seq, mac) = text.trim().split_once(':').ok_or(NoAnchor)?;
        let seq: i64 = seq.parse().map_err(|_| NoAnchor)?;
        let mac = mac.to_ascii_lowercase();
        let good = seq >= 0 && mac.len() == MAC_DIGITS && mac.bytes().all(|byte| byte.is_ascii_hexdigit());
        good.then_some(Self { seq, mac }).ok_or(NoAnchor)
    }
}

/// Whether two MACs are the same, in a time that does not tell where they differ.
pub fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

const MAC_DIGITS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_depends_on_key_number_time_and_the_border_of_each_field() {
        let key = ChainKey::of(&DataKey::random("index"));
        let link = key.link(1, 1_000, &["ab", "c", ""]);
        assert_eq!(link, key.link(1, 1_000, &["ab", "c", ""]));
        let other = ChainKey::of(&DataKey::random("index"));
        let others = [
            other.link(1, 1_000, &["ab", "c", ""]),
            key.link(2, 1_000, &["ab", "c", ""]),
            key.link(1, 1_001, &["ab", "c", ""]),
            key.link(1_000, 1, &["ab", "c", ""]),
            key.link(1, 1_000, &["a", "bc", ""]),
            key.link(1, 1_000, &["ab", "", "c"]),
            key.link(1, 1_000, &["ab", "c"]),
        ];
        assert!(others.iter().all(|other| *other != link), "{others:?}");
    }

    #[test]
    fn a_mark_is_good_under_its_name_and_for_its_place_only() {
        let key = ChainKey::of(&DataKey::random("index"));
        let anchor = Anchor {
            seq: 7,
            mac: "ab".repeat(32),
        };
        let seal = key.seal("head", &anchor);
        assert!(same(&seal, &key.seal("head", &anchor)) && !same(&seal, &key.seal("checkpoint", &anchor)));
        let moved = Anchor { seq: 8, ..anchor };
        assert!(!same(&seal, &key.seal("head", &moved)) && !same(&seal, ""));
    }

    #[test]
    fn anchors_are_read_as_they_are_written() {
        let anchor = Anchor {
            seq: 42,
            mac: "0f".repeat(32),
        };
        assert_eq!(anchor.to_string().parse(), Ok(anchor.clone()));
        assert_eq!(format!(" {}\n", anchor.to_string().to_uppercase()).parse(), Ok(anchor));
        assert_eq!(Anchor::start().to_string().parse(), Ok(Anchor::start()));
        for bad in [
            "",
            "42",
            "42:",
            "42:0f",
            ":0f",
            "-1:",
            &format!("-1:{}", "0f".repeat(32)),
            &format!("1:{}", "zz".repeat(32)),
        ] {
            assert_eq!(bad.parse::<Anchor>(), Err(NoAnchor), "{bad}");
        }
    }
}
