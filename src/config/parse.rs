//! Reading typed values out of the strings: one [`Reader`] that collects every fault, and the parsers it is given.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use super::error::ConfigError;
use super::keys::{self, KEYS};
use super::secret::Secret;
use super::strings::Strings;

/// Why a value does not do. The reader adds the key, its origin and the value.
#[derive(Debug)]
pub(super) struct Bad {
    expected: String,
    /// A value that would do; the key's default when absent.
    example: Option<String>,
    /// What to show instead of the value, when the value may hold something private.
    shown: Option<String>,
}

impl Bad {
    pub(super) fn new(expected: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            example: None,
            shown: None,
        }
    }

    pub(super) fn expected(&self) -> &str {
        &self.expected
    }

    pub(super) fn example(mut self, example: impl Into<String>) -> Self {
        self.example = Some(example.into());
        self
    }

    pub(super) fn shown_as(mut self, shown: impl Into<String>) -> Self {
        self.shown = Some(shown.into());
        self
    }
}

/// Looks keys up and parses them, going on after a fault so that the operator sees all of them at once.
pub(super) struct Reader<'a> {
    strings: &'a Strings,
    errors: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(strings: &'a Strings) -> Self {
        Self {
            strings,
            errors: Vec::new(),
        }
    }

    /// The value of a key, or `None` when it is unset or faulty (the fault is kept).
    pub(super) fn optional<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, Bad>) -> Option<T> {
        let key = keys::find(name);
        let (value, origin) = self.strings.get(name)?;
        match parse(value) {
            Ok(parsed) => Some(parsed),
            Err(bad) => {
                let shown = if key.secret {
                    "***".to_owned()
                } else {
                    bad.shown.unwrap_or_else(|| quote(value))
                };
                let example = bad
                    .example
                    .or_else(|| key.default.map(str::to_owned))
                    .unwrap_or_default();
                let origin = origin.clone();
                self.errors.push(ConfigError::Value {
                    key: key.name,
                    origin,
                    shown,
                    expected: bad.expected,
                    example,
                });
                None
            }
        }
    }

    /// The value of a key, or its default from [`KEYS`], read by the same parser.
    pub(super) fn or_default<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, Bad>) -> T {
        self.optional(name, &parse).unwrap_or_else(|| {
            let default = keys::find(name)
                .default
                .expect("invariant: keys read with a default have one");
            parse(default).expect("invariant: defaults parse, as a test checks")
        })
    }

    /// Whether the key has a value, faulty or not.
    pub(super) fn is_set(&self, name: &'static str) -> bool {
        self.strings.get(name).is_some()
    }

    /// Whether the key's own value was faulty, so that a cross-check on it would only confuse.
    pub(super) fn is_bad(&self, name: &str) -> bool {
        self.errors
            .iter()
            .any(|error| matches!(error, ConfigError::Value { key, .. } if *key == name))
    }

    /// Records that keys do not go together.
    pub(super) fn conflict(&mut self, message: String) {
        self.errors.push(ConfigError::Conflict { message });
    }

    /// All faults, in the order of [`KEYS`] with conflicts last.
    pub(super) fn finish(mut self) -> Vec<ConfigError> {
        self.errors.sort_by_key(|error| match error {
            ConfigError::Value { key, .. } => KEYS.iter().position(|known| known.name == *key).unwrap_or(KEYS.len()),
            ConfigError::Conflict { .. } | ConfigError::Unreadable { .. } | ConfigError::Line { .. } => KEYS.len(),
        });
        self.errors
    }
}

/// Any text.
pub(super) fn text(value: &str) -> Result<String, Bad> {
    Ok(value.to_owned())
}

/// A key or token: it must survive as an HTTP header, so no spaces and no control characters.
pub(super) fn secret(value: &str) -> Result<Secret, Bad> {
    if value.chars().all(|c| c.is_ascii_graphic()) {
        Ok(Secret::new(value))
    } else {
        Err(Bad::new("one word of ASCII letters, digits and signs")
            .example("the value exactly as its provider shows it"))
    }
}

/// A number within bounds, both inclusive.
pub(super) fn number<T>(min: T, max: T) -> impl Fn(&str) -> Result<T, Bad>
where
    T: FromStr + PartialOrd + Display + Copy,
{
    move |value| {
        let parsed = value.parse().ok().filter(|number| (min..=max).contains(number));
        parsed.ok_or_else(|| Bad::new(format!("a number from {min} to {max}")))
    }
}

/// A number of workers, calls and the like, which the server chooses when it is unset.
pub(super) fn count(max: usize) -> impl Fn(&str) -> Result<usize, Bad> {
    move |value| number(1, max)(value).map_err(|bad| bad.example("4"))
}

/// yes or no, in the spellings people use.
pub(super) fn boolean(value: &str) -> Result<bool, Bad> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err(Bad::new("true or false (1, 0, yes and no do too)")),
    }
}

/// on or off, or what [`boolean`] takes.
pub(super) fn on_or_off(value: &str) -> Result<bool, Bad> {
    match value.to_ascii_lowercase().as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => boolean(value).map_err(|_| Bad::new("on or off")),
    }
}

/// A duration with a unit, as humantime reads it (`600ms`, `1.5s`, `1m 30s`), within bounds, both inclusive.
pub(super) fn duration(min: Duration, max: Duration) -> impl Fn(&str) -> Result<Duration, Bad> {
    move |value| {
        let bounds = format!("{} to {}", show_duration(min), show_duration(max));
        let bad = || Bad::new(format!("a duration with a unit (ms, s, m, h), {bounds}"));
        if value.parse::<f64>().is_ok() {
            let fits =
                |unit: &&&str| parse_duration(&format!("{value}{unit}")).is_some_and(|d| (min..=max).contains(&d));
            return Err(match ["ms", "s"].iter().find(fits) {
                Some(unit) => bad().example(format!("{value}{unit}")),
                None => bad(),
            });
        }
        parse_duration(value)
            .filter(|parsed| (min..=max).contains(parsed))
            .ok_or_else(bad)
    }
}

/// A duration as the documentation writes it.
pub(super) fn show_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// An http or https URL that paths can be appended to: no query, no fragment, no user information.
pub(super) fn http_url(example: &'static str) -> impl Fn(&str) -> Result<Url, Bad> {
    move |value| {
        let private = value.contains(['@', '?']);
        let bad = |expected: &str| {
            let bad = Bad::new(expected).example(example);
            if private {
                bad.shown_as("a URL not shown, as it may hold a password")
            } else {
                bad
            }
        };
        let url = Url::parse(value)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let mut url = url.ok_or_else(|| bad("a URL that begins with http:// or https://"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("a URL without user or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("a URL without ? or #"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(url)
    }
}

/// The base of an HTTP API, without a trailing slash.
pub(super) fn base_url(example: &'static str) -> impl Fn(&str) -> Result<String, Bad> {
    move |value| {
        let url = http_url(example)(value)?;
        let base = url.as_str().trim_end_matches('/');
        match ENDPOINTS.iter().find_map(|endpoint| base.strip_suffix(endpoint)) {
            Some(shorter) => Err(Bad::new("the base URL, to which the endpoint's path is added").example(shorter)),
            None => Ok(base.to_owned()),
        }
    }
}

fn parse_duration(value: &str) -> Option<Duration> {
    humantime::parse_duration(value).ok()
}

/// The value on one line: quoted, escaped, shortened.
fn quote(value: &str) -> String {
    let short: String = value.chars().take(MAX_SHOWN).collect();
    let dots = if short.len() < value.len() { "…" } else { "" };
    format!("{short:?}{dots}")
}

/// Characters of a faulty value that are shown.
const MAX_SHOWN: usize = 80;

/// Paths people paste along with an OpenAI-compatible base URL.
const ENDPOINTS: &[&str] = &["/chat/completions", "/audio/transcriptions", "/audio/speech"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_keep_to_bounds() {
        let parse = duration(Duration::from_millis(100), Duration::from_secs(5));
        for (text, millis) in [
            ("600ms", 600),
            ("1.5s", 1500),
            ("1s 200ms", 1200),
            ("100ms", 100),
            ("5s", 5000),
        ] {
            assert_eq!(parse(text).expect(text), Duration::from_millis(millis), "{text}");
        }
        for (text, example) in [
            ("600", Some("600ms")),
            ("2", Some("2s")),
            ("0.5", Some("0.5s")),
            ("7000", None),
        ] {
            let bad = parse(text).expect_err(text);
            assert_eq!(bad.example.as_deref(), example, "{text}");
            assert!(bad.expected.contains("100ms to 5s"), "{}", bad.expected);
        }
        for text in ["99ms", "5001ms", "-1s", "soon", "600 parsecs", "0", "inf", "NaN"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_keep_to_bounds() {
        assert!(number(0.0_f32, 2.0)("0.4").is_ok());
        for text in ["-0.1", "2.1", "NaN", "x", ""] {
            assert!(number(0.0_f32, 2.0)(text).is_err(), "{text}");
        }
        assert!(count(8)("0").is_err());
        assert_eq!(count(8)("8").expect("8 is in bounds"), 8);
    }

    #[test]
    fn booleans_in_common_spellings() {
        for (text, expected) in [
            ("true", true),
            ("YES", true),
            ("1", true),
            ("False", false),
            ("no", false),
            ("0", false),
        ] {
            assert_eq!(boolean(text).expect(text), expected);
        }
        assert!(boolean("on fire").is_err());
    }

    #[test]
    fn urls_have_no_trailing_slash_query_or_password() {
        let parse = base_url("http://127.0.0.1:8081/v1");
        for (text, expected) in [
            ("http://127.0.0.1:8081/v1/", "http://127.0.0.1:8081/v1"),
            ("https://api.example.org", "https://api.example.org"),
        ] {
            assert_eq!(parse(text).expect(text), expected);
        }
        for text in [
            "localhost:8081",
            "ftp://x/v1",
            "/v1",
            "http://",
            "http://x/v1?key=hidden",
            "http://u:hidden@x",
            "http://x/#a",
        ] {
            let bad = parse(text).expect_err(text);
            assert_eq!(text.contains("hidden"), bad.shown.is_some(), "{text}");
        }
        let bad = parse("http://x/v1/chat/completions").expect_err("an endpoint");
        assert_eq!(bad.example.as_deref(), Some("http://x/v1"));
    }

    #[test]
    fn shown_values_stay_on_one_line() {
        assert_eq!(quote("a\nb"), "\"a\\nb\"");
        assert!(quote(&"é".repeat(200)).chars().count() < 90);
    }
}
