//! The fields of a webhook, and which of its ids can be believed.
//!
//! Twilio, SignalWire and Plivo sign names and values put together without borders between them. Whoever has overheard a signed request may
//! move the borders and has signed another one. For the call's id, which decides what a request opens, nothing comes of it:
//!
//! * An id that has swallowed the name and value behind it is longer than [`LONGEST_ID`].
//! * The rest of an id that was cut short must stand somewhere. As the beginning of a name it sorts behind all names of the carrier, as their
//!   first letters are capitals and its own is not, so it has swallowed every field behind the id: the form is no longer [whole](Form::is_whole).

use serde_json::Value;

use super::dialect::Dialect;
use super::signature;

/// Names and values as they were sent. PHI: it has no `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Of a body, or a query, that is `application/x-www-form-urlencoded`.
    pub fn urlencoded(body: &[u8]) -> Self {
        Self(signature::form_pairs(body))
    }

    /// Of a JSON object: its texts, numbers and truth values. Nothing if the body is anything else.
    pub fn json(body: &[u8]) -> Self {
        let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
            return Self::default();
        };
        let plain = |(name, value)| match value {
            Value::String(text) => Some((name, text)),
            Value::Number(number) => Some((name, number.to_string())),
            Value::Bool(truth) => Some((name, truth.to_string())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        Self(object.into_iter().filter_map(plain).collect())
    }

    /// All of it, in its order.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The value of a field; the first one where a name comes twice.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// An id of the carrier's, if it can be one.
    pub fn id(&self, name: &str) -> Option<&str> {
        self.field(name).filter(|id| is_sid(id) && id.len() <= LONGEST_ID)
    }

    /// Whether the fields around the call's id are still there, so that it is the one that was sent. Each carrier's webhooks have them.
    pub fn is_whole(&self, dialect: Dialect) -> bool {
        let is_there = |name: &&str| self.field(name).is_some();
        match dialect {
            // Every request tells how far the call is, but for the reports of streams, recordings and answering machine detection. All of these
            // stand behind the id.
            Dialect::Twilio | Dialect::SignalWire => [
                "CallStatus",
                "StreamEvent",
                "RecordingStatus",
                "MachineDetectionDuration",
            ]
            .iter()
            .any(is_there),
            // The status stands before the `CallUUID`, and could swallow it up to another id.
            Dialect::Plivo => {
                let status = self.field("CallStatus");
                is_there(&"To") && status.is_some_and(|status| status.len() <= LONGEST_STATUS)
            }
            // What is signed has its borders, or nothing is signed.
            Dialect::Telnyx | Dialect::Exotel => true,
        }
    }
}

/// Letters and digits only, so that an id can stand in a log line or a URL.
pub fn is_sid(id: &str) -> bool {
    (2..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The same for the id of any carrier's call: Telnyx' are long and have colons.
pub fn is_call(id: &str) -> bool {
    (2..=LONGEST_CALL).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':'))
}

/// No id of a call is longer, whatever its carrier.
pub const LONGEST_CALL: usize = 128;
/// Ids have 34 characters, or 36 if they are UUIDs; with the shortest field behind it one has more than this.
pub const LONGEST_ID: usize = 40;
/// "in-progress" has 11 characters; with a field behind it, its name alone would be as long again.
const LONGEST_STATUS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::signature::{Algorithm, Body, sign, verify};

    const URL: &str = "https://voice.example.org/voice/incoming";
    const CALL: &str = "CA5ea1e6d0c3b2a1908f7e6d5c4b3a2910";

    fn form(pairs: &[(&str, &str)]) -> Form {
        Form(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    fn genuine() -> Form {
        form(&[
            ("AccountSid", "AC00000000000000000000000000000001"),
            ("CallSid", CALL),
            ("CallStatus", "ringing"),
            ("Direction", "inbound"),
            ("From", "+15550177123"),
            ("To", "+15550100200"),
        ])
    }

    fn call_of(form: &Form) -> Option<&str> {
        form.id("CallSid").filter(|_| form.is_whole(Dialect::Twilio))
    }

    /// Each is signed, as the borders between its fields are not.
    #[test]
    fn a_signed_form_with_moved_borders_names_no_other_call() {
        let signature = sign("token", URL, genuine().pairs());
        assert_eq!(call_of(&genuine()), Some(CALL));
        let account = "AC00000000000000000000000000000001";
        let swallowed = format!("{CALL}CallStatusringing");
        let forged = [
            // Longer by a field.
            form(&[
                ("AccountSid", account),
                ("CallSid", &swallowed),
                ("Direction", "inbound"),
                ("From", "+15550177123"),
                ("To", "+15550100200"),
            ]),
            // Shorter, and the rest is the name of one field.
            form(&[
                ("AccountSid", account),
                ("CallSid", "CA5"),
                (
                    "ea1e6d0c3b2a1908f7e6d5c4b3a2910CallStatusringingDirectioninboundFrom",
                    "+15550177123To+15550100200",
                ),
            ]),
        ];
        for (n, forged) in forged.iter().enumerate() {
            let urls = [URL.to_owned()];
            let signed = verify(
                &["token"],
                Algorithm::Sha1,
                &urls,
                Body::Form(forged.pairs()),
                &signature,
            );
            assert!(signed, "case {n} is signed as well");
            assert_eq!(call_of(forged), None, "case {n}");
        }
    }

    /// Plivo's `CallStatus` is signed before the `CallUUID`.
    #[test]
    fn a_status_that_has_swallowed_the_id_makes_no_other_id_the_calls() {
        let (call, other) = (
            "5ea1e6d0-c3b2-4a19-88f7-e6d5c4b3a291",
            "ffffffff-ffff-4fff-8fff-ffffffffffff",
        );
        let swallowed = format!("ringingCallUUID{call}From15550177123Parent");
        let forged = form(&[("CallStatus", &swallowed), ("CallUUID", other), ("To", "15550100200")]);
        assert!(forged.id("CallUUID").is_some() && !forged.is_whole(Dialect::Plivo));
        let genuine = form(&[("CallStatus", "in-progress"), ("CallUUID", call), ("To", "15550100200")]);
        assert!(genuine.is_whole(Dialect::Plivo));
    }

    #[test]
    fn an_id_ends_at_forty_characters() {
        for (length, taken) in [(1, false), (2, true), (34, true), (40, true), (41, false), (64, false)] {
            let id = "C".repeat(length);
            assert_eq!(form(&[("CallSid", &id)]).id("CallSid").is_some(), taken, "{length}");
        }
        for bad in ["CA 1", "CA/1", "CA\n1", "CÄ1", ""] {
            assert_eq!(form(&[("CallSid", bad)]).id("CallSid"), None, "{bad:?}");
        }
    }

    #[test]
    fn json_gives_its_plain_fields() {
        let json = Form::json(br#"{"CallSid":"CA1","N":7,"T":true,"Odd":[1],"None":null}"#);
        assert_eq!(
            ["CallSid", "N", "T", "Odd", "None"].map(|name| json.field(name)),
            [Some("CA1"), Some("7"), Some("true"), None, None]
        );
        assert!(Form::json(b"[1]").pairs().is_empty() && Form::json(b"CallSid=CA1").pairs().is_empty());
    }
}
