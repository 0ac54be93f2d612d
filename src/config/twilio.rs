//! The telephone company.

use super::parse::{self, Bad, Reader};
use super::secret::Secret;
use super::{or_unset, set_or_not};
use crate::twilio::rest::{RestSettings, api_url};
use crate::twilio::signature::Algorithm;

/// How a call's audio comes and goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// A bidirectional media stream.
    #[default]
    Stream,
    /// Turn by turn: what we say is played, what the caller says is recorded and fetched. Slower, and nobody can interrupt.
    Record,
}

impl Transport {
    const fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Record => "record",
        }
    }
}

/// The Twilio account. All of it may be absent: the simulated caller needs none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Twilio {
    /// `AC` and 32 lower-case hexadecimal digits. No default.
    pub account_sid: Option<String>,
    /// Signs Twilio's webhooks. No default; required when the server can be reached from the internet.
    pub auth_token: Option<Secret>,
    /// The number callers dial, E.164 (`+15551234567`). No default.
    pub phone_number: Option<String>,
    /// Asks the REST API in place of the account itself, with its secret. No default.
    pub api_key: Option<(String, Secret)>,
    /// The region whose REST API is asked. Default Twilio's own, `us1`.
    pub region: Option<String>,
    /// The edge by which it is asked. No default.
    pub edge: Option<String>,
    /// Where the REST API is instead. No default.
    pub api_url: Option<String>,
    /// The auth token before or after the present one: both are good while they are exchanged. No default.
    pub auth_token_old: Option<Secret>,
    /// What requests are signed with: the auth token by SHA-1, Twilio's default, or a shared key by SHA-256.
    pub signature: Algorithm,
    /// The shared key. No default; required by [`Algorithm::Sha256`].
    pub shared_key: Option<Secret>,
    /// The shared key before or after that. No default.
    pub shared_key_old: Option<Secret>,
    /// Requests are taken without a signature. For development only, so never where strangers can reach the server.
    pub unverified: bool,
    /// Default a stream: it answers faster, and can be interrupted.
    pub transport: Transport,
}

impl Twilio {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Self {
        Self {
            account_sid: reader.optional("TWILIO_ACCOUNT_SID", account_sid),
            auth_token: reader.optional("TWILIO_AUTH_TOKEN", parse::secret),
            phone_number: reader.optional("TWILIO_PHONE_NUMBER", e164),
            api_key: key(reader),
            region: reader.optional("TWILIO_REGION", place),
            edge: reader.optional("TWILIO_EDGE", place),
            api_url: reader.optional("TWILIO_API_URL", own_url),
            auth_token_old: reader.optional("TWILIO_AUTH_TOKEN_OLD", parse::secret),
            signature: reader.or_default("TWILIO_SIGNATURE", algorithm),
            shared_key: reader.optional("TWILIO_SHARED_KEY", parse::secret),
            shared_key_old: reader.optional("TWILIO_SHARED_KEY_OLD", parse::secret),
            unverified: !reader.or_default("TWILIO_VERIFY", parse::on_or_off),
            transport: reader.or_default("TRANSPORT", transport),
        }
    }

    /// How the REST API is asked, if an account is configured that can.
    pub fn rest(&self) -> Option<RestSettings> {
        let account_sid = self.account_sid.clone()?;
        let (user, password) = match (&self.api_key, &self.auth_token) {
            (Some((key, secret)), _) => (key.clone(), secret),
            (None, Some(token)) => (account_sid.clone(), token),
            (None, None) => return None,
        };
        Some(RestSettings {
            account_sid,
            user,
            password: password.expose().to_owned(),
            url: self
                .api_url
                .clone()
                .unwrap_or_else(|| api_url(self.edge.as_deref(), self.region.as_deref())),
            number: self.phone_number.clone(),
            backoff: RestSettings::BACKOFF,
            timeout: RestSettings::TIMEOUT,
        })
    }

    pub(super) fn describe(&self, lines: &mut Vec<(&'static str, String)>) {
        let number = self.phone_number.as_deref().map(mask_digits);
        let algorithm = match self.signature {
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
        };
        lines.extend([
            ("TWILIO_ACCOUNT_SID", or_unset(self.account_sid.as_ref(), "not set")),
            ("TWILIO_AUTH_TOKEN", set_or_not(self.auth_token.as_ref())),
            ("TWILIO_PHONE_NUMBER", or_unset(number.as_ref(), "not set")),
            (
                "TWILIO_API_KEY_SID",
                or_unset(self.api_key.as_ref().map(|(sid, _)| sid), "not set"),
            ),
            (
                "TWILIO_API_KEY_SECRET",
                set_or_not(self.api_key.as_ref().map(|(_, secret)| secret)),
            ),
            ("TWILIO_REGION", or_unset(self.region.as_ref(), "us1")),
            ("TWILIO_EDGE", or_unset(self.edge.as_ref(), "none")),
            ("TWILIO_API_URL", or_unset(self.api_url.as_ref(), "that of the region")),
            ("TWILIO_AUTH_TOKEN_OLD", set_or_not(self.auth_token_old.as_ref())),
            ("TWILIO_SIGNATURE", algorithm.to_owned()),
            ("TWILIO_SHARED_KEY", set_or_not(self.shared_key.as_ref())),
            ("TWILIO_SHARED_KEY_OLD", set_or_not(self.shared_key_old.as_ref())),
            ("TWILIO_VERIFY", if self.unverified { "off" } else { "on" }.to_owned()),
            ("TRANSPORT", self.transport.name().to_owned()),
        ]);
    }

    /// What requests may be signed with, the present key first.
    pub fn signing_keys(&self) -> (Option<&Secret>, Option<&Secret>) {
        match self.signature {
            Algorithm::Sha1 => (self.auth_token.as_ref(), self.auth_token_old.as_ref()),
            Algorithm::Sha256 => (self.shared_key.as_ref(), self.shared_key_old.as_ref()),
        }
    }

    /// What would let strangers in, or nobody. `public` is the first address of the server that is not local.
    pub(super) fn cross_check(&self, public: Option<&url::Url>, reader: &mut Reader<'_>) {
        if let Some(url) = public
            && self.unverified
        {
            reader.conflict(format!(
                "PUBLIC_URL is {url}, which anyone can reach, and TWILIO_VERIFY is off, so anyone could place calls here. Remove \
                 TWILIO_VERIFY=off, which is for development only, or unset PUBLIC_URL"
            ));
        }
        if self.signature == Algorithm::Sha256 && !self.unverified && !reader.is_set("TWILIO_SHARED_KEY") {
            reader.conflict(
                "TWILIO_SIGNATURE is sha256 and TWILIO_SHARED_KEY is not set, so webhooks could not be verified. Set \
                 TWILIO_SHARED_KEY to the secret of the shared key, or unset TWILIO_SIGNATURE"
                    .to_owned(),
            );
        }
        if let Some(url) = public
            && self.signature == Algorithm::Sha1
            && !self.unverified
            && !reader.is_set("TWILIO_AUTH_TOKEN")
        {
            reader.conflict(format!(
                "PUBLIC_URL is {url}, which anyone can reach, and TWILIO_AUTH_TOKEN is not set, so webhooks could not be \
                 verified. Set TWILIO_AUTH_TOKEN to the auth token of your Twilio account, or unset PUBLIC_URL"
            ));
        }
    }
}

fn algorithm(value: &str) -> Result<Algorithm, Bad> {
    match value {
        "sha1" => Ok(Algorithm::Sha1),
        "sha256" => Ok(Algorithm::Sha256),
        _ => Err(Bad::new("sha1 or sha256")),
    }
}

/// Both halves of an API key; one alone is none.
fn key(reader: &mut Reader<'_>) -> Option<(String, Secret)> {
    let sid = reader.optional("TWILIO_API_KEY_SID", key_sid);
    let secret = reader.optional("TWILIO_API_KEY_SECRET", parse::secret);
    sid.zip(secret)
}

fn key_sid(value: &str) -> Result<String, Bad> {
    let digits = value.strip_prefix("SK").unwrap_or_default();
    let good = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    // As with the account's, a secret may be pasted here.
    good.then(|| value.to_owned()).ok_or_else(|| {
        Bad::new("the SID of an API key: SK and 32 hexadecimal digits")
            .example("SK0123456789abcdef0123456789abcdef")
            .shown_as(format!("a text of {} characters", value.chars().count()))
    })
}

/// A part of a host's name.
fn place(value: &str) -> Result<String, Bad> {
    let good = value
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    good.then(|| value.to_owned())
        .ok_or_else(|| Bad::new("the name of a Twilio edge or region").example("ie1"))
}

/// The account's secret goes there, so it is encrypted on its way, unless it stays on this machine.
fn own_url(value: &str) -> Result<String, Bad> {
    let example = "https://api.twilio.com";
    let url = parse::http_url(example)(value)?;
    let here = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() == "https" || here {
        Ok(url.as_str().trim_end_matches('/').to_owned())
    } else {
        Err(Bad::new("an https:// URL, or one of this machine").example(example))
    }
}

fn transport(value: &str) -> Result<Transport, Bad> {
    let known = [Transport::Stream, Transport::Record];
    let found = known.into_iter().find(|known| value.eq_ignore_ascii_case(known.name()));
    found.ok_or_else(|| Bad::new("stream or record"))
}

fn account_sid(value: &str) -> Result<String, Bad> {
    let digits = value.strip_prefix("AC").unwrap_or_default();
    if digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(value.to_owned());
    }
    // The auth token is often pasted here by mistake, so the value is described and not repeated.
    let start: String = value.chars().take(2).collect();
    Err(Bad::new("the account SID: AC and 32 hexadecimal digits in lower case")
        .example("AC0123456789abcdef0123456789abcdef")
        .shown_as(format!("{:?}… of {} characters", start, value.chars().count())))
}

/// ITU-T E.164: a plus sign, no leading zero, at most 15 digits.
pub(super) fn e164(value: &str) -> Result<String, Bad> {
    let digits = value.strip_prefix('+').unwrap_or_default();
    let well_formed = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if well_formed && !digits.starts_with('0') {
        return Ok(value.to_owned());
    }
    Err(
        Bad::new("a number in E.164 form: + and 7 to 15 digits, without spaces, country code first")
            .example("+15551234567")
            .shown_as(format!("{:?}", mask_digits(value))),
    )
}

/// Every digit but the last two becomes `*`, so that the shape stays visible.
pub fn mask_digits(value: &str) -> String {
    let total = value.chars().filter(char::is_ascii_digit).count();
    let mut seen = 0;
    let mask = |c: char| {
        seen += usize::from(c.is_ascii_digit());
        if c.is_ascii_digit() && seen + 2 <= total {
            '*'
        } else {
            c
        }
    };
    value.chars().map(mask).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_sids() {
        assert!(account_sid("AC0123456789abcdef0123456789abcdef").is_ok());
        for text in [
            "AC0123",
            "0123456789abcdef0123456789abcdef",
            "AC0123456789ABCDEF0123456789abcdef",
            "AC",
        ] {
            assert!(account_sid(text).is_err(), "{text}");
        }
    }

    #[test]
    fn phone_numbers() {
        for text in ["+15551234567", "+442071838750"] {
            assert!(e164(text).is_ok(), "{text}");
        }
        for text in [
            "15551234567",
            "+05551234567",
            "+1 555 123 4567",
            "+1555",
            "+1234567890123456",
            "+1555123456x",
        ] {
            assert!(e164(text).is_err(), "{text}");
        }
    }

    #[test]
    fn masked_numbers_keep_shape_and_two_digits() {
        assert_eq!(mask_digits("+15551234567"), "+*********67");
        assert_eq!(mask_digits("(555) 123-4567"), "(***) ***-**67");
        assert_eq!(mask_digits("7"), "7");
    }
}
