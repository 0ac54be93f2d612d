//! What other carriers' webhooks are answered: cXML, TeXML and Plivo's XML, as far as they are not `TwiML`.

use super::dialect::Dialect;
use super::twiml::{Escaped, response};

/// Connects the call to a media stream in both directions; when it ends, the carrier asks `fallback`.
///
/// `parameters` reach the stream's start message at SignalWire only: elsewhere the URL is all that binds it.
pub fn connect(dialect: Dialect, stream: &str, parameters: &[(&str, &str)], fallback: &str) -> String {
    let (stream, fallback) = (Escaped(stream), Escaped(fallback));
    let next = format!(r#"<Redirect method="POST">{fallback}</Redirect>"#);
    match dialect {
        Dialect::Plivo => response(&format!(
            r#"<Stream bidirectional="true" keepCallAlive="true" contentType="audio/x-mulaw;rate=8000">{stream}</Stream>{next}"#
        )),
        Dialect::Telnyx => response(&format!(
            "<Connect><Stream url=\"{stream}\" track=\"inbound_track\" codec=\"PCMU\" bidirectionalMode=\"rtp\" \
             bidirectionalCodec=\"PCMU\"/></Connect>{next}"
        )),
        Dialect::Twilio | Dialect::SignalWire | Dialect::Exotel => {
            let parameter = |(name, value): &(&str, &str)| {
                format!(r#"<Parameter name="{}" value="{}"/>"#, Escaped(name), Escaped(value))
            };
            let parameters: String = parameters.iter().map(parameter).collect();
            response(&format!(
                r#"<Connect><Stream url="{stream}">{parameters}</Stream></Connect>{next}"#
            ))
        }
    }
}

/// Refuses the call with a busy tone.
pub fn busy(dialect: Dialect) -> String {
    response(match dialect {
        Dialect::Plivo => r#"<Hangup reason="busy"/>"#,
        Dialect::Twilio | Dialect::SignalWire | Dialect::Telnyx | Dialect::Exotel => r#"<Reject reason="busy"/>"#,
    })
}

/// Refuses the call: this caller is not taken.
pub fn reject(dialect: Dialect) -> String {
    response(match dialect {
        Dialect::Plivo => r#"<Hangup reason="rejected"/>"#,
        Dialect::Twilio | Dialect::SignalWire | Dialect::Telnyx | Dialect::Exotel => r#"<Reject reason="rejected"/>"#,
    })
}

/// Says a sentence in the carrier's own voice and ends the call.
pub fn say_and_hangup(dialect: Dialect, text: &str) -> String {
    let verb = if dialect == Dialect::Plivo { "Speak" } else { "Say" };
    response(&format!("<{verb}>{}</{verb}><Hangup/>", Escaped(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_carrier_gets_its_own_stream() {
        let answer = |dialect| connect(dialect, "wss://h/s?a&b", &[("tok", "t<")], "https://h/f");
        for (dialect, expected) in [
            (
                Dialect::SignalWire,
                r#"<Connect><Stream url="wss://h/s?a&amp;b"><Parameter name="tok" value="t&lt;"/></Stream></Connect>"#,
            ),
            (
                Dialect::Telnyx,
                r#"<Connect><Stream url="wss://h/s?a&amp;b" track="inbound_track" codec="PCMU" bidirectionalMode="rtp" bidirectionalCodec="PCMU"/></Connect>"#,
            ),
            (
                Dialect::Plivo,
                r#"<Stream bidirectional="true" keepCallAlive="true" contentType="audio/x-mulaw;rate=8000">wss://h/s?a&amp;b</Stream>"#,
            ),
        ] {
            let xml = answer(dialect);
            assert!(xml.contains(expected), "{xml}");
            let document = roxmltree::Document::parse(&xml).expect("well-formed");
            let last = document.root_element().last_element_child().expect("a verb");
            assert_eq!((last.tag_name().name(), last.text()), ("Redirect", Some("https://h/f")));
        }
    }
}
