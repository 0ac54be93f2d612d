//! Incoming phone numbers of Twilio's REST API (`2010-04-01`), pure: paths, forms, answers, and what webhooks should be.

use serde::Deserialize;

/// A number of the account, with the webhooks that are set for it.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct IncomingNumber {
    /// `PN…`.
    pub sid: String,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Asked when a call comes in.
    pub voice_url: Option<String>,
    /// `GET` or `POST`.
    pub voice_method: Option<String>,
    /// Told when a call has ended.
    pub status_callback: Option<String>,
    /// `GET` or `POST`.
    pub status_callback_method: Option<String>,
    /// Asked when the voice URL gives no answer.
    pub voice_fallback_url: Option<String>,
    /// `GET` or `POST`.
    pub voice_fallback_method: Option<String>,
    /// A TwiML application, which is asked instead of the voice URL.
    pub voice_application_sid: Option<String>,
    /// A SIP trunk, which gets the calls instead.
    pub trunk_sid: Option<String>,
}

/// What a number can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Calls.
    pub voice: bool,
}

/// The answer to a list.
#[derive(Default, Deserialize)]
pub struct NumberPage {
    /// Those that fit.
    pub incoming_phone_numbers: Vec<IncomingNumber>,
}

/// What is known of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Account {
    /// `active`, `suspended` or `closed`.
    pub status: String,
    /// `Full` or `Trial`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// One setting that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The parameter of the REST API.
    pub parameter: &'static str,
    /// As it is, for people: without user, password and query; "nothing" if it is unset.
    pub is: String,
    /// As it should be; empty to unset it.
    pub should: String,
}

/// Path of an account.
pub fn account_path(account_sid: &str) -> String {
    format!("/2010-04-01/Accounts/{account_sid}.json")
}

/// Path and query of the list of numbers that are exactly this one.
pub fn find_path(account_sid: &str, number: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("PhoneNumber", number)
        .finish();
    format!("/2010-04-01/Accounts/{account_sid}/IncomingPhoneNumbers.json?{query}")
}

/// Path of one number.
pub fn number_path(account_sid: &str, sid: &str) -> String {
    format!("/2010-04-01/Accounts/{account_sid}/IncomingPhoneNumbers/{sid}.json")
}

/// What must be changed so that calls to the number come to the server at `base` (no trailing slash). Empty if it is right.
pub fn changes(number: &IncomingNumber, base: &str) -> Vec<Change> {
    let wanted = [
        ("VoiceUrl", &number.voice_url, format!("{base}/voice/incoming")),
        ("VoiceMethod", &number.voice_method, "POST".to_owned()),
        (
            "VoiceFallbackUrl",
            &number.voice_fallback_url,
            format!("{base}/voice/fallback"),
        ),
        ("VoiceFallbackMethod", &number.voice_fallback_method, "POST".to_owned()),
        (
            "StatusCallback",
            &number.status_callback,
            format!("{base}/voice/status"),
        ),
        (
            "StatusCallbackMethod",
            &number.status_callback_method,
            "POST".to_owned(),
        ),
        ("VoiceApplicationSid", &number.voice_application_sid, String::new()),
        ("TrunkSid", &number.trunk_sid, String::new()),
    ];
    let change = |(parameter, is, should): (&'static str, &Option<String>, String)| {
        let is = is.as_deref().unwrap_or_default();
        (is != should).then(|| Change {
            parameter,
            is: shown(is),
            should,
        })
    };
    wanted.into_iter().filter_map(change).collect()
}

/// The form that makes the changes.
pub fn form(changes: &[Change]) -> String {
    let pairs = changes.iter().map(|change| (change.parameter, change.should.as_str()));
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// A webhook's URL may hold a password or a token.
fn shown(value: &str) -> String {
    if value.is_empty() {
        return "nothing".to_owned();
    }
    match url::Url::parse(value) {
        Ok(mut url) => {
            // Cannot fail: what has no host has no user either.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.set_query(None);
            url.set_fragment(None);
            url.to_string()
        }
        Err(_) => value.chars().filter(char::is_ascii_graphic).take(80).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://voice.example.org";

    fn right() -> IncomingNumber {
        let set = |text: &str| Some(text.to_owned());
        IncomingNumber {
            voice_url: set("https://voice.example.org/voice/incoming"),
            voice_method: set("POST"),
            voice_fallback_url: set("https://voice.example.org/voice/fallback"),
            voice_fallback_method: set("POST"),
            status_callback: set("https://voice.example.org/voice/status"),
            status_callback_method: set("POST"),
            voice_application_sid: set(""),
            ..IncomingNumber::default()
        }
    }

    #[test]
    fn what_is_right_needs_no_change_and_what_is_wrong_is_named() {
        assert_eq!(changes(&right(), BASE), []);
        let mut wrong = right();
        wrong.voice_url = Some("https://u:hidden@demo.twilio.com/welcome?token=hidden".to_owned());
        wrong.voice_method = Some("GET".to_owned());
        wrong.voice_application_sid = Some("AP1".to_owned());
        let found = changes(&wrong, BASE);
        let names: Vec<&str> = found.iter().map(|change| change.parameter).collect();
        assert_eq!(names, ["VoiceUrl", "VoiceMethod", "VoiceApplicationSid"]);
        assert_eq!(found[0].is, "https://demo.twilio.com/welcome");
        assert_eq!(
            form(&found),
            "VoiceUrl=https%3A%2F%2Fvoice.example.org%2Fvoice%2Fincoming&VoiceMethod=POST&VoiceApplicationSid="
        );
    }

    #[test]
    fn a_number_is_found_by_its_plus_sign() {
        assert_eq!(
            find_path("AC1", "+15551234567"),
            "/2010-04-01/Accounts/AC1/IncomingPhoneNumbers.json?PhoneNumber=%2B15551234567"
        );
    }
}
