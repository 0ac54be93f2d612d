//! `TwiML` of a call that is held turn by turn, without a media stream: play, then record, gather, ask again or hang up.

use std::fmt::Write as _;
use std::time::Duration;

use super::twiml::{Escaped, response};

/// What comes after the audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb<'a> {
    /// The caller has the floor. Twilio posts the recording's id to the URL; without any sound it goes there all the same.
    Record {
        /// Where to go on.
        next: &'a str,
        /// Silence that ends the recording, in whole seconds, 1 at least.
        silence: Duration,
        /// Longest recording, in whole seconds.
        longest: Duration,
    },
    /// More keys are awaited; the pause that ends them is in whole seconds.
    Gather {
        /// Where to go on.
        next: &'a str,
        /// Between two keys.
        pause: Duration,
    },
    /// The rest is not ready: ask again, at once or after a second of silence.
    Redirect {
        /// Where.
        next: &'a str,
        /// Whether to wait a second before.
        pause: bool,
    },
    /// The call is over.
    Hangup,
}

/// Plays the audio at a URL, if there is any, and goes on.
///
/// Every key ends a recording, because Twilio reports no others: a number that is typed begins with that key and goes on in a
/// `<Gather>`.
pub fn play_and(audio: Option<&str>, verb: &Verb<'_>) -> String {
    let mut verbs = String::new();
    if let Some(url) = audio {
        let _ = write!(verbs, "<Play>{}</Play>", Escaped(url));
    }
    let _ = match verb {
        Verb::Record { next, silence, longest } => {
            let (next, silence, longest) = (Escaped(next), seconds(*silence), seconds(*longest));
            write!(
                verbs,
                "<Record action=\"{next}\" method=\"POST\" playBeep=\"false\" timeout=\"{silence}\" maxLength=\"{longest}\" \
                 trim=\"trim-silence\" finishOnKey=\"{KEYS}\"/><Redirect method=\"POST\">{next}</Redirect>"
            )
        }
        Verb::Gather { next, pause } => {
            let (next, pause) = (Escaped(next), seconds(*pause));
            write!(
                verbs,
                "<Gather input=\"dtmf\" action=\"{next}\" method=\"POST\" timeout=\"{pause}\" finishOnKey=\"#\" \
                 actionOnEmptyResult=\"true\"/><Redirect method=\"POST\">{next}</Redirect>"
            )
        }
        Verb::Redirect { next, pause } => {
            let pause = if *pause { "<Pause length=\"1\"/>" } else { "" };
            write!(verbs, "{pause}<Redirect method=\"POST\">{}</Redirect>", Escaped(next))
        }
        Verb::Hangup => verbs.write_str("<Hangup/>"),
    };
    response(&verbs)
}

/// At least one.
fn seconds(duration: Duration) -> u64 {
    duration
        .as_millis()
        .div_ceil(1_000)
        .max(1)
        .try_into()
        .unwrap_or(u64::MAX)
}

/// Keys that end a recording.
const KEYS: &str = "1234567890*#";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_well_formed_and_goes_on_somewhere() {
        let next = "https://h/voice/process-speech?step=1&part=\"0\"<";
        let record = Verb::Record {
            next,
            silence: Duration::from_millis(1_200),
            longest: Duration::from_secs(60),
        };
        let gather = Verb::Gather {
            next,
            pause: Duration::ZERO,
        };
        for (verb, name, target) in [
            (record, "Record", Some("action")),
            (gather, "Gather", Some("action")),
            (Verb::Redirect { next, pause: true }, "Pause", None),
            (Verb::Hangup, "Hangup", None),
        ] {
            let xml = play_and(Some("https://h/a&b.wav"), &verb);
            let document = roxmltree::Document::parse(&xml).expect("well-formed");
            let verbs: Vec<_> = document.root_element().children().collect();
            assert_eq!(
                (verbs[0].tag_name().name(), verbs[0].text()),
                ("Play", Some("https://h/a&b.wav"))
            );
            assert_eq!(verbs[1].tag_name().name(), name);
            if let Some(target) = target {
                assert_eq!(verbs[1].attribute(target), Some(next));
            }
            if verb != Verb::Hangup {
                assert_eq!(verbs[2].text(), Some(next), "{name} falls through to a redirect");
            }
        }
        let xml = play_and(
            None,
            &Verb::Record {
                next: "/n",
                silence: Duration::from_millis(1_200),
                longest: Duration::ZERO,
            },
        );
        assert!(
            xml.contains(r#"timeout="2" maxLength="1""#) && xml.contains(r#"playBeep="false""#),
            "{xml}"
        );
    }
}
