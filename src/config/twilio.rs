//! The telephone company.

use super::parse::{self, Bad, Reader};
use super::secret::Secret;
use super::{or_unset, set_or_not};
use crate::twilio::signature::Algorithm;

/// The Twilio account. All of it may be absent: the simulated caller needs none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Twilio {
    /// `AC` and 32 lower-case hexadecimal digits. No default.
    pub account_sid: Option<String>,
    /// Signs Twilio's webhooks. No default; required when the server can be reached from the internet.
    pub auth_token: Option<Secret>,
    /// The number callers dial, E.164 (`+15551234567`). No default.
    pub phone_number: Option<String>,
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
}

impl Twilio {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Self {
        Self {
            account_sid: reader.optional("TWILIO_ACCOUNT_SID", account_sid),
            auth_token: reader.optional("TWILIO_AUTH_TOKEN", parse::secret),
            phone_number: reader.optional("TWILIO_PHONE_NUMBER", e164),
            auth_token_old: reader.optional("TWILIO_AUTH_TOKEN_OLD", parse::secret),
            signature: reader.or_default("TWILIO_SIGNATURE", algorithm),
            shared_key: reader.optional("TWILIO_SHARED_KEY", parse::secret),
            shared_key_old: reader.optional("TWILIO_SHARED_KEY_OLD", parse::secret),
            unverified: !reader.or_default("TWILIO_VERIFY", parse::on_or_off),
        }
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
            ("TWILIO_AUTH_TOKEN_OLD", set_or_not(self.auth_token_old.as_ref())),
            ("TWILIO_SIGNATURE", algorithm.to_owned()),
            ("TWILIO_SHARED_KEY", set_or_not(self.shared_key.as_ref())),
            ("TWILIO_SHARED_KEY_OLD", set_or_not(self.shared_key_old.as_ref())),
            ("TWILIO_VERIFY", if self.unverified { "off" } else { "on" }.to_owned()),
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
fn e164(value: &str) -> Result<String, Bad> {
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
fn mask_digits(value: &str) -> String {
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
