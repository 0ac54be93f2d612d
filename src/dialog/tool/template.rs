//! Templates of a tool's URL and body, into which values can be put but no structure.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Output, UndefinedBehavior};
use serde_json::{Map, Value};
use url::Url;

/// A compiled template.
#[derive(Debug, Clone)]
pub(super) struct Template {
    environment: Environment<'static>,
    source: String,
}

impl Template {
    /// Each value is URL-encoded, so that it stays within its part of the path or query; an empty one is an error, as
    /// `/members/` is another thing than `/members/7`.
    pub(super) fn url(source: &str) -> Result<Self, String> {
        Self::compile(source, |out, value| {
            let kind = value.kind();
            if !matches!(kind, ValueKind::String | ValueKind::Number | ValueKind::Bool) {
                return Err(Error::new(ErrorKind::InvalidOperation, format!("a value is {kind}")));
            }
            // As JSON has it; minijinja's own way is Python's.
            let text = if kind == ValueKind::Bool {
                value.is_true().to_string()
            } else {
                value.to_string()
            };
            if text.is_empty() {
                return Err(Error::new(ErrorKind::InvalidOperation, "a value is empty"));
            }
            out.write_str(&encoded(&text)).map_err(Error::from)
        })
    }

    /// Each value is written as JSON.
    pub(super) fn json(source: &str) -> Result<Self, String> {
        Self::compile(source, |out, value| {
            if value.is_undefined() {
                return Err(Error::from(ErrorKind::UndefinedError));
            }
            let json = serde_json::to_string(value)
                .map_err(|_| Error::new(ErrorKind::BadSerialization, "a value has no JSON form"))?;
            out.write_str(&json).map_err(Error::from)
        })
    }

    fn compile(
        source: &str,
        write: impl Fn(&mut Output<'_>, &minijinja::Value) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_formatter(move |out, _, value| write(out, value));
        let source = source.trim().to_owned();
        environment
            .add_template_owned(NAME, source.clone())
            .map_err(|error| reason(&error))?;
        Ok(Self { environment, source })
    }

    /// The error may show values: it is for those who wrote the template, not for a log.
    fn render(&self, args: &Map<String, Value>) -> Result<String, String> {
        let template = self.environment.get_template(NAME).map_err(|error| reason(&error))?;
        template.render(args).map_err(|error| reason(&error))
    }

    /// A URL of the template's scheme and host.
    pub(super) fn render_url(&self, args: &Map<String, Value>) -> Result<Url, String> {
        let text = self.render(args)?;
        let path = text.split_once("://").map_or("", |(_, rest)| rest);
        let path = path.split('?').next().unwrap_or_default();
        // These would take a parent's place, also when they are encoded.
        if path
            .split('/')
            .any(|part| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | ".."))
        {
            return Err("a part of the path is . or ..".to_owned());
        }
        let url = Url::parse(&text).map_err(|error| error.to_string())?;
        let literal = |url: &Url| {
            let origin = &url[..url::Position::BeforePath];
            origin.trim_end_matches('/').to_owned()
        };
        let own = base(&self.source).ok_or("the template begins with no host")?;
        if literal(&url) != literal(&own) || url.fragment().is_some() {
            return Err("the host is not the template's".to_owned());
        }
        Ok(url)
    }

    /// A text that is JSON.
    pub(super) fn render_json(&self, args: &Map<String, Value>) -> Result<String, String> {
        let text = self.render(args)?;
        match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => Ok(text),
            Err(error) => Err(format!(
                "no JSON at line {}, column {} of what it becomes; values are put in with their quotes",
                error.line(),
                error.column()
            )),
        }
    }
}

/// Scheme, host and port of a template, which are literal.
pub(super) fn base(source: &str) -> Option<Url> {
    let source = source.trim();
    let end = source.find("://").map_or(0, |at| at + 3);
    let end = source[end..].find(['/', '?']).map_or(source.len(), |at| end + at);
    Url::parse(&source[..end]).ok()
}

/// What minijinja says, on one line.
fn reason(error: &Error) -> String {
    let detail = error.detail().unwrap_or_default();
    let line = error.line().map_or_else(String::new, |line| format!(" (line {line})"));
    format!("{}: {detail}{line}", error.kind()).replace(": (", " (")
}

/// All but the unreserved characters, of which the dot alone can change a path and is looked at on its own.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

const NAME: &str = "tool";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn args(value: &Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn values_stay_in_their_place() {
        let template =
            Template::url("https://a.example/m/{{ id }}/x?q={{ q }}{% if p is defined %}&p={{ p }}{% endif %}");
        let template = template.expect("a good template");
        let url = |id: &str, q: Value| template.render_url(&args(&json!({"id": id, "q": q}))).map(String::from);
        assert_eq!(url("MB1", 7.into()).as_deref(), Ok("https://a.example/m/MB1/x?q=7"));
        assert_eq!(
            url("a b/../c", "d&e=f#g".into()).as_deref(),
            Ok("https://a.example/m/a%20b%2F..%2Fc/x?q=d%26e%3Df%23g")
        );
        assert_eq!(
            url("?\\@é%2e", true.into()).as_deref(),
            Ok("https://a.example/m/%3F%5C%40%C3%A9%252e/x?q=true")
        );
        for (id, q) in [
            (".", json!(1)),
            ("..", json!(1)),
            ("", json!(1)),
            ("a", json!("")),
            ("a", json!(null)),
            ("a", json!([1])),
        ] {
            let shown = format!("{id:?} {q}");
            assert!(url(id, q).is_err(), "{shown}");
        }
        let missing = template.render_url(&args(&json!({"id": "a"})));
        assert!(missing.is_err(), "a value that is not there");
        let pairs = Template::url("http://a/{{ x }}{{ y }}").expect("a good template");
        assert!(pairs.render_url(&args(&json!({"x": ".", "y": "."}))).is_err());
        assert!(Template::url("http://a/{{ x").is_err());
    }

    #[test]
    fn a_body_is_json_whatever_the_values() {
        let template =
            Template::json(r#"{"id": {{ id }}, "note": "by phone", "all": {{ list }}}"#).expect("a good template");
        let body = template.render_json(&args(&json!({"id": "a\", \"b\": \"c", "list": [1, {"x": null}]})));
        let body: Value = serde_json::from_str(&body.expect("JSON")).expect("JSON");
        assert_eq!(
            body,
            json!({"id": "a\", \"b\": \"c", "note": "by phone", "all": [1, {"x": null}]})
        );
        let quoted = Template::json(r#"{"id": "{{ id }}"}"#).expect("a good template");
        let error = quoted
            .render_json(&args(&json!({"id": "secret"})))
            .expect_err("too many quotes");
        assert!(!error.contains("secret") && error.contains("quotes"), "{error}");
    }

    proptest! {
        #[test]
        fn no_value_reaches_the_host_or_another_part_of_the_path(id in ".{1,20}", q in ".{1,20}") {
            let template = Template::url("https://a.example:81/m/{{ id }}/x?q={{ q }}&z=1").expect("a good template");
            match template.render_url(&args(&json!({"id": id, "q": q}))) {
                Err(_) => prop_assert!(id == "." || id == "..", "{id}"),
                Ok(url) => {
                    prop_assert_eq!((url.host_str(), url.port()), (Some("a.example"), Some(81)));
                    let parts: Vec<&str> = url.path_segments().expect("a path").collect();
                    prop_assert_eq!((parts.len(), parts[0], parts[2]), (3, "m", "x"));
                    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
                    prop_assert_eq!(pairs, [("q".to_owned(), q), ("z".to_owned(), "1".to_owned())]);
                    prop_assert_eq!(url.fragment(), None);
                }
            }
        }
    }
}
