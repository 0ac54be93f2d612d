//! TwiML: the XML answers to a voice webhook, and the reading of one on the caller's side.

use std::fmt::Write as _;

/// Why a TwiML document could not be built or read.
#[derive(Debug, thiserror::Error)]
pub enum TwimlError {
    /// A `<Parameter>` that Twilio would refuse.
    #[error(
        "stream parameter {name:?}: name and value take {chars} characters together, fewer than {PARAMETER_CHARS} are allowed"
    )]
    ParameterTooLong {
        /// Name of the parameter (its value may be a secret and is not shown).
        name: String,
        /// Characters of name and value together.
        chars: usize,
    },
    /// A `<Parameter>` without a name.
    #[error("a stream parameter has no name")]
    ParameterUnnamed,
    /// The answer is not well-formed XML.
    #[error("the TwiML is not well-formed XML")]
    Xml(#[from] roxmltree::Error),
    /// The answer has no `<Connect><Stream>`.
    #[error("the TwiML has no <Connect><Stream>; its first verb is {verb:?}")]
    NoStream {
        /// First verb of the answer, empty when there is none.
        verb: String,
    },
    /// `<Stream>` names no URL.
    #[error("the TwiML's <Stream> has no url")]
    NoUrl,
}

/// Where a webhook's answer sends the call's audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamTarget {
    /// `ws://` or `wss://` URL of the media stream, as written.
    pub url: String,
    /// `<Parameter>` names and values in document order.
    pub parameters: Vec<(String, String)>,
}

impl StreamTarget {
    /// The value of a parameter; the first one when a name comes twice.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A call's connection to a bidirectional media stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct Connect<'a> {
    /// `wss://` URL of the stream.
    pub stream: &'a str,
    /// `<Parameter>` names and values, for the stream's `start` message.
    pub parameters: &'a [(&'a str, &'a str)],
    /// Fetched when the stream has ended, however it ended; its answer decides what the caller gets next.
    pub action: Option<&'a str>,
    /// Told that the stream started, stopped or failed, and why.
    pub status_callback: Option<&'a str>,
    /// Where Twilio goes on when nothing else says so.
    pub fallback: &'a str,
}

/// Connects the call to a bidirectional media stream.
///
/// # Errors
///
/// A parameter without a name, or with 500 or more characters in name and value together.
pub fn connect_stream(connect: &Connect<'_>) -> Result<String, TwimlError> {
    let mut verbs = String::from("<Connect");
    if let Some(action) = connect.action {
        let _ = write!(verbs, r#" action="{}" method="POST""#, Escaped(action));
    }
    let _ = write!(verbs, r#"><Stream url="{}""#, Escaped(connect.stream));
    if let Some(url) = connect.status_callback {
        let _ = write!(
            verbs,
            r#" statusCallback="{}" statusCallbackMethod="POST""#,
            Escaped(url)
        );
    }
    verbs.push('>');
    for &(name, value) in connect.parameters {
        if name.is_empty() {
            return Err(TwimlError::ParameterUnnamed);
        }
        let chars = name.chars().count() + value.chars().count();
        if chars >= PARAMETER_CHARS {
            return Err(TwimlError::ParameterTooLong {
                name: name.to_owned(),
                chars,
            });
        }
        let _ = write!(
            verbs,
            r#"<Parameter name="{}" value="{}"/>"#,
            Escaped(name),
            Escaped(value)
        );
    }
    let _ = write!(
        verbs,
        r#"</Stream></Connect><Redirect method="POST">{}</Redirect>"#,
        Escaped(connect.fallback)
    );
    Ok(response(&verbs))
}

/// Says a sentence in Twilio's own voice and ends the call: the last resort. Text beyond 4096 characters is cut.
pub fn say_and_hangup(text: &str) -> String {
    response(&format!("<Say>{}</Say><Hangup/>", Escaped(cut(text))))
}

/// As much as one `<Say>` takes.
fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(SAY_CHARS).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// A call that is put through to somebody.
#[derive(Clone)]
pub struct Dial<'a> {
    /// Whom, E.164.
    pub number: &'a str,
    /// What is fetched for whoever answers, before the two hear each other.
    pub whisper: Option<&'a str>,
    /// What is fetched once it is over, or nobody has answered.
    pub action: &'a str,
    /// How long the telephone rings.
    pub ring: std::time::Duration,
}

/// Puts the call through.
pub fn dial(dial: &Dial<'_>) -> String {
    let mut verbs = format!(
        r#"<Dial action="{}" method="POST" timeout="{}" answerOnBridge="true"><Number"#,
        Escaped(dial.action),
        dial.ring.as_secs()
    );
    if let Some(whisper) = dial.whisper {
        let _ = write!(verbs, r#" url="{}" method="POST""#, Escaped(whisper));
    }
    let _ = write!(verbs, ">{}</Number></Dial>", Escaped(dial.number));
    response(&verbs)
}

/// Tells whoever has answered what the call is about, twice, and waits for the key 1; without it they are hung up on.
pub fn whisper(summary: &str, accept: &str) -> String {
    let gather = format!(
        r#"<Gather numDigits="1" timeout="6" actionOnEmptyResult="false" action="{}" method="POST"><Say>{}</Say></Gather>"#,
        Escaped(accept),
        Escaped(cut(summary))
    );
    response(&format!("{gather}{gather}<Hangup/>"))
}

/// Nothing more to do: a call that is being put through is.
pub fn nothing() -> String {
    response("")
}

/// Ends the call.
pub fn hangup() -> String {
    response("<Hangup/>")
}

/// Refuses the call with a busy tone, before it is answered or billed.
pub fn reject_busy() -> String {
    response(r#"<Reject reason="busy"/>"#)
}

/// Refuses the call, before it is answered or billed: the caller hears that the number is not in service.
pub fn reject() -> String {
    response(r#"<Reject reason="rejected"/>"#)
}

/// Keeps a caller on the line: says a sentence in Twilio's own voice, is silent for some seconds, and asks `redirect` what comes next. Text
/// beyond 4096 characters is cut.
pub fn hold(text: &str, language: &str, seconds: u64, redirect: &str) -> String {
    response(&format!(
        r#"<Say language="{}">{}</Say><Pause length="{seconds}"/><Redirect method="POST">{}</Redirect>"#,
        Escaped(language),
        Escaped(cut(text)),
        Escaped(redirect)
    ))
}

/// Reads the first `<Connect><Stream>` of a webhook's answer.
///
/// # Errors
///
/// XML that is not well-formed or carries a DTD, or an answer that does not connect a stream.
pub fn parse_connect_stream(xml: &str) -> Result<StreamTarget, TwimlError> {
    // Twilio takes an answer with blank lines before the declaration.
    let document = roxmltree::Document::parse(xml.trim_start())?;
    let root = document.root_element();
    let verbs = || root.children().filter(roxmltree::Node::is_element);
    let stream = verbs()
        .filter(|verb| verb.has_tag_name("Connect"))
        .flat_map(|verb| verb.children())
        .find(|noun| noun.has_tag_name("Stream"));
    let Some(stream) = stream.filter(|_| root.has_tag_name("Response")) else {
        let verb = verbs()
            .next()
            .map(|verb| verb.tag_name().name().to_owned())
            .unwrap_or_default();
        return Err(TwimlError::NoStream { verb });
    };
    let url = stream
        .attribute("url")
        .map(str::trim)
        .filter(|url| !url.is_empty())
        .ok_or(TwimlError::NoUrl)?;
    let parameters = stream
        .children()
        .filter(|child| child.has_tag_name("Parameter"))
        .filter_map(|child| {
            let name = child.attribute("name")?;
            Some((name.to_owned(), child.attribute("value").unwrap_or_default().to_owned()))
        })
        .collect();
    Ok(StreamTarget {
        url: url.to_owned(),
        parameters,
    })
}

pub(super) fn response(verbs: &str) -> String {
    format!(
        "{}<Response>{verbs}</Response>",
        r#"<?xml version="1.0" encoding="UTF-8"?>"#
    )
}

/// Text as XML content or attribute value. Characters that XML 1.0 cannot hold at all are left out.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for char in self.0.chars() {
            match char {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&apos;")?,
                // Written plainly, an attribute would turn these into spaces.
                '\t' | '\n' | '\r' => write!(f, "&#{};", u32::from(char))?,
                '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// Name and value of a `<Parameter>` together stay below this many characters, or Twilio refuses the document.
const PARAMETER_CHARS: usize = 500;

/// Longest text of a `<Say>`.
const SAY_CHARS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_answer_has_the_documented_shape() {
        let connect = Connect {
            stream: "wss://h/media",
            parameters: &[("tok", "abc")],
            action: Some("https://h/ended?a=1&b=2"),
            status_callback: Some("https://h/status"),
            fallback: "https://h/fallback",
        };
        assert_eq!(
            connect_stream(&connect).expect("valid"),
            concat!(
                r#"<?xml version="1.0" encoding="UTF-8"?><Response>"#,
                r#"<Connect action="https://h/ended?a=1&amp;b=2" method="POST"><Stream url="wss://h/media" "#,
                r#"statusCallback="https://h/status" statusCallbackMethod="POST">"#,
                r#"<Parameter name="tok" value="abc"/></Stream></Connect>"#,
                r#"<Redirect method="POST">https://h/fallback</Redirect></Response>"#
            )
        );
        let bare = connect_stream(&with(&[])).expect("valid");
        assert!(!bare.contains("action") && !bare.contains("statusCallback"), "{bare}");
    }

    fn with<'a>(parameters: &'a [(&'a str, &'a str)]) -> Connect<'a> {
        Connect {
            stream: "wss://h/m",
            parameters,
            fallback: "/f",
            ..Connect::default()
        }
    }

    #[test]
    fn hostile_values_survive_the_round_trip() {
        let value = "a\"><Parameter name='x'/>&amp;\n\t\r é 𝄞";
        let xml = connect_stream(&Connect {
            stream: "wss://h/m?a=<&>",
            fallback: "]]>&",
            ..with(&[("tok", value), ("other", "")])
        });
        let target = parse_connect_stream(&xml.expect("valid")).expect("own XML");
        assert_eq!(target.url, "wss://h/m?a=<&>");
        assert_eq!(target.parameter("tok"), Some(value));
        assert_eq!(target.parameters.len(), 2);

        let xml = connect_stream(&with(&[("n", "a\u{0}\u{b}b\u{ffff}")])).expect("valid");
        assert_eq!(parse_connect_stream(&xml).expect("own XML").parameter("n"), Some("ab"));
    }

    #[test]
    fn a_parameter_stays_below_500_characters() {
        let longest = "é".repeat(496);
        assert!(connect_stream(&with(&[("tok", &longest)])).is_ok());
        let too_long = "é".repeat(497);
        let refused = connect_stream(&with(&[("tok", &too_long)]));
        assert!(matches!(refused, Err(TwimlError::ParameterTooLong { chars: 500, .. })));
        let unnamed = connect_stream(&with(&[("", "x")]));
        assert!(matches!(unnamed, Err(TwimlError::ParameterUnnamed)));
    }

    #[test]
    fn the_last_resorts_are_valid_twiml() {
        let say = say_and_hangup("Sorry & <goodbye>");
        assert!(say.ends_with("<Response><Say>Sorry &amp; &lt;goodbye&gt;</Say><Hangup/></Response>"));
        let long = say_and_hangup(&"ä".repeat(5000));
        assert_eq!(long.matches('ä').count(), 4096);
        assert!(reject_busy().ends_with(r#"<Response><Reject reason="busy"/></Response>"#));
        assert!(reject().ends_with(r#"<Response><Reject reason="rejected"/></Response>"#));
        let hold = hold("Wait & <see>", "en-US", 15, "https://h/queue?a=1&round=2");
        assert!(hold.ends_with(
            "<Response><Say language=\"en-US\">Wait &amp; &lt;see&gt;</Say><Pause length=\"15\"/>\
             <Redirect method=\"POST\">https://h/queue?a=1&amp;round=2</Redirect></Response>"
        ));
    }

    #[test]
    fn other_answers_are_told_apart() {
        let verb = |xml: &str| match parse_connect_stream(xml) {
            Err(TwimlError::NoStream { verb }) => verb,
            other => panic!("{other:?}"),
        };
        assert_eq!(verb(&reject_busy()), "Reject");
        assert_eq!(
            verb(r#"<Response><Start><Stream url="wss://h"/></Start></Response>"#),
            "Start"
        );
        assert_eq!(verb("<html><body/></html>"), "body");
        assert_eq!(verb("<Response/>"), "");
        let no_url = parse_connect_stream("<Response><Connect><Stream/></Connect></Response>");
        assert!(matches!(no_url, Err(TwimlError::NoUrl)));
        assert!(matches!(
            parse_connect_stream("Service unavailable"),
            Err(TwimlError::Xml(_))
        ));
        let bomb = r#"<!DOCTYPE x [<!ENTITY a "b">]><Response/>"#;
        assert!(matches!(parse_connect_stream(bomb), Err(TwimlError::Xml(_))));
    }

    #[test]
    fn a_pretty_printed_answer_is_read() {
        let xml = "\n<?xml version='1.0'?>\n<Response>\n <Say>Hi</Say>\n <Connect>\n  <Stream url=' wss://h/m '>\n   \
                   <Parameter name='tok' value='1'/>\n  </Stream>\n </Connect>\n</Response>";
        let target = parse_connect_stream(xml).expect("valid");
        assert_eq!(target.url, "wss://h/m");
        assert_eq!(target.parameter("tok"), Some("1"));
    }
}
