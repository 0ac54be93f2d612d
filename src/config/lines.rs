//! Lines beside Twilio's: other carriers, and a PBX.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::parse::{self, Bad, Reader};
use super::secret::Secret;
use super::{or_unset, set_or_not};

/// Each is off until its key is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lines {
    /// SignalWire's signing key. No default.
    pub signalwire: Option<Secret>,
    /// Telnyx' public key. No default.
    pub telnyx: Option<[u8; 32]>,
    /// Plivo's auth token. No default.
    pub plivo: Option<Secret>,
    /// What Exotel's applet brings. No default.
    pub exotel: Option<Secret>,
    /// Where a PBX connects. No default.
    pub audiosocket: Option<SocketAddr>,
    /// Who may call from it, with the number that was dialled. Empty: everybody who can connect.
    pub audiosocket_uuids: Uuids,
    /// The number that was dialled where the UUID does not say. No default: `AGENT` answers.
    pub audiosocket_number: Option<String>,
    /// Addresses outside private networks are meant. Default: no.
    pub audiosocket_public: bool,
}

/// UUIDs and numbers. They let callers in, so `Debug` hides them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Uuids(pub Vec<([u8; 16], Option<String>)>);

impl std::fmt::Debug for Uuids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Uuids({})", self.0.len())
    }
}

impl Lines {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Self {
        let lines = Self {
            signalwire: reader.optional("SIGNALWIRE_SIGNING_KEY", parse::secret),
            telnyx: reader.optional("TELNYX_PUBLIC_KEY", public_key),
            plivo: reader.optional("PLIVO_AUTH_TOKEN", parse::secret),
            exotel: reader.optional("EXOTEL_SECRET", shared_secret),
            audiosocket: reader.optional("AUDIOSOCKET_BIND", bind),
            audiosocket_uuids: reader.optional("AUDIOSOCKET_UUIDS", uuids).unwrap_or_default(),
            audiosocket_number: reader.optional("AUDIOSOCKET_NUMBER", number),
            audiosocket_public: reader.or_default("AUDIOSOCKET_PUBLIC", parse::boolean),
        };
        let public = lines.audiosocket_public;
        if let Some(bind) = lines.audiosocket.filter(|bind| !public && !is_private(bind)) {
            reader.conflict(format!(
                "AUDIOSOCKET_BIND is {bind}, which others than this machine and a private network may reach, and AudioSocket \
                 has neither keys nor encryption. Write the address of the PBX's network, such as 127.0.0.1:{}, or set \
                 AUDIOSOCKET_PUBLIC=true if a firewall or VPN keeps strangers away",
                bind.port()
            ));
        }
        lines
    }

    pub(super) fn describe(&self, lines: &mut Vec<(&'static str, String)>) {
        let key = if self.telnyx.is_some() { "set" } else { "not set" };
        let uuids = match self.audiosocket_uuids.0.len() {
            0 => "any".to_owned(),
            count => format!("{count} set"),
        };
        lines.extend([
            ("SIGNALWIRE_SIGNING_KEY", set_or_not(self.signalwire.as_ref())),
            ("TELNYX_PUBLIC_KEY", key.to_owned()),
            ("PLIVO_AUTH_TOKEN", set_or_not(self.plivo.as_ref())),
            ("EXOTEL_SECRET", set_or_not(self.exotel.as_ref())),
            ("AUDIOSOCKET_BIND", or_unset(self.audiosocket.as_ref(), "off")),
            ("AUDIOSOCKET_UUIDS", uuids),
            (
                "AUDIOSOCKET_NUMBER",
                if self.audiosocket_number.is_some() {
                    "set"
                } else {
                    "not set"
                }
                .to_owned(),
            ),
            ("AUDIOSOCKET_PUBLIC", self.audiosocket_public.to_string()),
        ]);
    }
}

fn public_key(value: &str) -> Result<[u8; 32], Bad> {
    let key = BASE64_STANDARD.decode(value).ok().and_then(|key| key.try_into().ok());
    key.ok_or_else(|| {
        Bad::new("the account's public key: 32 bytes in base64, from the Mission Control Portal")
            .example("ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=")
    })
}

/// A secret that a request brings instead of a signature, in a header or a URL: whoever guesses it is let in.
fn shared_secret(value: &str) -> Result<Secret, Bad> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if value.len() >= SHORTEST_SECRET && value.bytes().all(plain) {
        return Ok(Secret::new(value));
    }
    let length = value.chars().count();
    Err(Bad::new(format!(
        "{SHORTEST_SECRET} or more letters, digits, - and _ (these are {length} characters), as it takes the place of a signature"
    ))
    .example("the output of: openssl rand -hex 24"))
}

fn bind(value: &str) -> Result<SocketAddr, Bad> {
    value
        .parse()
        .map_err(|_| Bad::new("an IP address and a port").example("127.0.0.1:9092"))
}

fn uuids(value: &str) -> Result<Uuids, Bad> {
    let entry = |entry: &str| {
        let (id, dialled) = entry.split_once('=').map_or((entry, None), |(id, to)| (id, Some(to)));
        let id = uuid(id.trim())?;
        match dialled {
            None => Some((id, None)),
            Some(to) => Some((id, Some(number(to.trim()).ok()?))),
        }
    };
    let all: Option<Vec<_>> = value.split(',').map(entry).collect();
    all.map(Uuids).ok_or_else(|| {
        Bad::new("UUIDs with commas between, each perhaps with = and the number that was dialled")
            .example("40325ec2-5efd-4bd3-805f-53576e581d13=+15551234567")
            .shown_as("a list not shown")
    })
}

/// With or without hyphens.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let digits = text.replace('-', "");
    let hex = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = u128::from_str_radix(&digits, 16).ok().filter(|_| hex)?;
    Some(value.to_be_bytes())
}

fn number(value: &str) -> Result<String, Bad> {
    let digits = value.strip_prefix('+').unwrap_or_default();
    if (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0')
    {
        return Ok(value.to_owned());
    }
    Err(Bad::new("a number in E.164 form: + and 7 to 15 digits")
        .example("+15551234567")
        .shown_as("a number not shown"))
}

/// Whether only this machine or a private network can reach it.
fn is_private(address: &SocketAddr) -> bool {
    match address {
        SocketAddr::V4(address) => {
            let ip = address.ip();
            ip.is_loopback() || ip.is_private() || ip.is_link_local()
        }
        SocketAddr::V6(address) => {
            let ip = address.ip();
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
    }
}

/// Characters; even of hexadecimal digits nobody guesses so many.
const SHORTEST_SECRET: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Strings};

    fn parse(pairs: &[(&str, &str)]) -> Result<Lines, String> {
        let strings: Strings = pairs.iter().copied().collect();
        let config = Config::parse(&strings);
        config.map(|config| config.lines).map_err(|errors| errors.to_string())
    }

    #[test]
    fn a_pbx_connects_from_private_networks_only_unless_told_otherwise() {
        for bind in [
            "127.0.0.1:9092",
            "10.0.0.5:9092",
            "192.168.1.2:9092",
            "[::1]:9092",
            "[fd00::1]:9092",
        ] {
            assert!(parse(&[("AUDIOSOCKET_BIND", bind)]).is_ok(), "{bind}");
        }
        for bind in ["0.0.0.0:9092", "[::]:9092", "8.8.8.8:9092", "172.32.0.1:9092"] {
            let error = parse(&[("AUDIOSOCKET_BIND", bind)]).expect_err(bind);
            assert!(error.contains("AUDIOSOCKET_PUBLIC"), "{error}");
            assert!(parse(&[("AUDIOSOCKET_BIND", bind), ("AUDIOSOCKET_PUBLIC", "true")]).is_ok());
        }
    }

    #[test]
    fn uuids_come_with_and_without_numbers_and_are_never_shown() {
        let one = "40325ec2-5efd-4bd3-805f-53576e581d13";
        let lines = parse(&[(
            "AUDIOSOCKET_UUIDS",
            &format!("{one}=+15551234567, 40325EC25EFD4BD3805F53576E581D14"),
        )]);
        let uuids = lines.expect("good").audiosocket_uuids;
        assert_eq!(uuids.0[0].1.as_deref(), Some("+15551234567"));
        assert_eq!((uuids.0[1].0[15], uuids.0[1].1.as_ref()), (0x14, None));
        assert_eq!(format!("{uuids:?}"), "Uuids(2)");
        for bad in [
            "x",
            "40325ec2",
            &format!("{one},"),
            &format!("{one}=5551234567"),
            &format!("+{}", &one[1..]),
        ] {
            let error = parse(&[("AUDIOSOCKET_UUIDS", bad)]).expect_err(bad);
            assert!(error.contains("is a list not shown"), "{error}");
        }
    }

    #[test]
    fn a_telnyx_key_has_32_bytes() {
        let key = "ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=";
        assert!(parse(&[("TELNYX_PUBLIC_KEY", key)]).is_ok_and(|lines| lines.telnyx.is_some()));
        assert!(parse(&[("TELNYX_PUBLIC_KEY", "AAAA")]).is_err());
    }

    #[test]
    fn a_secret_that_stands_for_a_signature_is_long() {
        let good = "5f0e9a1b2c3d4e5f7c1a90b4";
        assert_eq!(good.len(), SHORTEST_SECRET);
        assert!(parse(&[("EXOTEL_SECRET", good)]).is_ok_and(|lines| lines.exotel.is_some()));
        for bad in [&good[1..], "secret", "a/b", &format!("{good}/"), &format!("{good}ä")] {
            let error = parse(&[("EXOTEL_SECRET", bad)]).expect_err(bad);
            assert!(!error.contains(bad), "{error}");
            for part in ["EXOTEL_SECRET", "24 or more letters", "openssl rand -hex 24"] {
                assert!(error.contains(part), "{part} is not in {error}");
            }
        }
    }
}
