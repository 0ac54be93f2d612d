//! HTTP tools as an agent file declares them: `[[tools]]`.
//!
//! ```toml
//! [[tools]]
//! name = "find_member"
//! description = "Finds a member by id."
//! method = "GET"                                      # GET, HEAD, POST, PUT, PATCH, DELETE; default GET
//! url = "https://api.example.com/members/{{ id }}"    # the host is literal; values are URL-encoded
//! headers = { authorization = "Bearer ${CRM_TOKEN}" } # ${NAME} is the environment's
//! timeout = "3s"                                      # over all attempts; default 5s, at most 30s
//! idempotent = true                                   # may be tried twice; default: all but POST and PATCH
//! max_response = 65536                                # bytes; default 64 KiB, at most 1 MiB
//! result = { plan = "/coverage/plan" }                # JSON pointers; default: the whole object
//! outcomes = { 404 = "not_found" }                    # by status; default: 2xx "ok", else "failed"
//! [tools.parameters]                                  # JSON schema of an object; default: no arguments
//! type = "object"
//! required = ["id"]
//! properties.id = { type = "string", pattern = "^MB[0-9]{6}$" }
//! ```
//!
//! `body`, for POST, PUT and PATCH, is the arguments as JSON unless it is a template such as `'{"member": {{ id }}}'`, in which
//! values are written as JSON, quotes included.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value, json};
use url::Url;

use super::template::{self, Template};
use crate::config::Secret;

/// One HTTP tool. Checked while it is read: a faulty one is an error that says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct HttpToolSpec {
    /// `a-z`, `A-Z`, `0-9`, `_` and `-`, at most 64.
    pub name: String,
    /// What it does and when to call it, for the LLM.
    pub description: String,
    /// Default `GET`.
    pub method: Method,
    /// Template whose scheme and host are literal.
    pub url: String,
    /// Lower-case name to value, in which `${NAME}` is still to be resolved.
    pub headers: BTreeMap<String, Secret>,
    /// JSON schema of an object.
    pub parameters: Value,
    /// Template of a JSON text. `None`: the arguments.
    pub body: Option<String>,
    /// Over all attempts. Default 5 s, at most 30 s.
    pub timeout: Duration,
    /// May be done twice. Default: all but POST and PATCH.
    pub idempotent: bool,
    /// Whether a caller's yes must come first. Default: all but GET and HEAD.
    pub changes: bool,
    /// Bytes. Default 64 KiB, at most 1 MiB.
    pub max_response: usize,
    /// Name to JSON pointer into the response. Empty: all members of the response.
    pub result: BTreeMap<String, String>,
    /// HTTP status to outcome.
    pub outcomes: BTreeMap<u16, String>,
}

/// HTTP's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    #[default]
    Get,
    /// Reads the status only.
    Head,
    /// Writes; twice is another act.
    Post,
    /// Writes; twice is the same.
    Put,
    /// Changes; twice may be another act.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// As it is sent.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether it has a body.
    pub fn writes(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

impl HttpToolSpec {
    /// Scheme, host and port, which no argument changes.
    pub fn base(&self) -> Option<Url> {
        template::base(&self.url)
    }

    /// The outcome of an answer with this status. `None` for one that is neither declared nor a success.
    pub fn outcome(&self, status: u16) -> Option<&str> {
        let usual = (200..300).contains(&status).then_some(OK);
        self.outcomes.get(&status).map(String::as_str).or(usual)
    }

    /// What the templates may say of a response: the members that `result` names, of those there are.
    pub fn data(&self, response: Map<String, Value>) -> Map<String, Value> {
        if self.result.is_empty() {
            return response;
        }
        let response = Value::Object(response);
        let named = self.result.iter();
        named
            .filter_map(|(name, pointer)| Some((name.clone(), response.pointer(pointer)?.clone())))
            .collect()
    }

    /// Arguments of the declared types, to try the templates with.
    fn sample(&self) -> Map<String, Value> {
        let properties = self.parameters["properties"].as_object().into_iter().flatten();
        properties
            .map(|(name, schema)| {
                let first = schema["enum"].as_array().and_then(|values| values.first());
                let value = first.cloned().unwrap_or_else(|| match schema["type"].as_str() {
                    Some("integer" | "number") => json!(1),
                    Some("boolean") => json!(true),
                    Some("array") => json!([]),
                    Some("object") => json!({}),
                    _ => json!("x"),
                });
                (name.clone(), value)
            })
            .collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(deserialize_with = "name")]
    name: String,
    #[serde(deserialize_with = "sentence")]
    description: String,
    #[serde(default)]
    method: Method,
    #[serde(deserialize_with = "url")]
    url: String,
    #[serde(default, deserialize_with = "headers")]
    headers: BTreeMap<String, Secret>,
    #[serde(default = "no_parameters", deserialize_with = "parameters")]
    parameters: Value,
    #[serde(default)]
    body: Option<String>,
    #[serde(default = "usual_timeout", deserialize_with = "timeout")]
    timeout: Duration,
    #[serde(default)]
    idempotent: Option<bool>,
    #[serde(default)]
    changes: Option<bool>,
    #[serde(default = "usual_response", deserialize_with = "max_response")]
    max_response: usize,
    #[serde(default, deserialize_with = "result")]
    result: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "outcomes")]
    outcomes: BTreeMap<u16, String>,
}

impl TryFrom<Raw> for HttpToolSpec {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let spec = Self {
            name: raw.name,
            description: raw.description,
            method: raw.method,
            url: raw.url,
            headers: raw.headers,
            parameters: raw.parameters,
            body: raw.body,
            timeout: raw.timeout,
            idempotent: raw
                .idempotent
                .unwrap_or(!matches!(raw.method, Method::Post | Method::Patch)),
            changes: raw.changes.unwrap_or(!matches!(raw.method, Method::Get | Method::Head)),
            max_response: raw.max_response,
            result: raw.result,
            outcomes: raw.outcomes,
        };
        let wrong = |what: &str, why: String| format!("tool {}: {what}: {why}", spec.name);
        if spec.body.is_some() && !spec.method.writes() {
            return Err(wrong("body", format!("{} has none", spec.method.name())));
        }
        let sample = spec.sample();
        let template = Template::url(&spec.url).map_err(|why| wrong("url", why))?;
        template.render_url(&sample).map_err(|why| wrong("url", why))?;
        if let Some(body) = &spec.body {
            let template = Template::json(body).map_err(|why| wrong("body", why))?;
            template.render_json(&sample).map_err(|why| wrong("body", why))?;
        }
        Ok(spec)
    }
}

/// Replaces each `${NAME}`; the error is the first name that has no value.
pub fn resolve(text: &str, lookup: &impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let (mut resolved, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or_else(|| after.to_owned())?;
        resolved.push_str(before);
        resolved.push_str(&lookup(name).ok_or_else(|| name.to_owned())?);
        rest = after;
    }
    Ok(resolved + rest)
}

/// The literal beginning of a URL template: scheme and host.
fn check_origin(template: &str) -> Result<(), String> {
    let rest = template
        .strip_prefix("https://")
        .or_else(|| template.strip_prefix("http://"))
        .ok_or("expected https:// or http:// at its beginning")?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let host = &rest[..end];
    if host.contains(['{', '}', '%']) {
        return Err("the host must be literal, without {{ }}".to_owned());
    }
    if host.contains('@') {
        return Err("user and password do not belong here; use headers".to_owned());
    }
    let origin = &template[..template.len() - rest.len() + end];
    Url::parse(origin).map_err(|error| format!("{origin}: {error}"))?;
    if rest[end..].contains(['#', '\\']) {
        return Err("# and \\ have no place in it".to_owned());
    }
    Ok(())
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(good) {
        return Ok(text);
    }
    Err(de::Error::custom(format!(
        "{text:?} is not a tool's name: expected 1 to {MAX_NAME} of a-z, A-Z, 0-9, _ and -"
    )))
}

fn sentence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let text = text.trim();
    if text.is_empty() {
        return Err(de::Error::custom("this text is empty: expected at least one sentence"));
    }
    Ok(text.to_owned())
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    check_origin(&text).map_err(|why| de::Error::custom(format!("url: {why}")))?;
    Ok(text)
}

fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Secret>, D::Error> {
    let raw = BTreeMap::<String, String>::deserialize(deserializer)?;
    let mut headers = BTreeMap::new();
    for (name, value) in raw {
        let name = name.to_ascii_lowercase();
        let token = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if name.is_empty() || !name.bytes().all(token) {
            return Err(de::Error::custom(format!("{name:?} is not a header's name")));
        }
        if OWN_HEADERS.contains(&name.as_str()) {
            return Err(de::Error::custom(format!("the header {name} is set by tieline itself")));
        }
        // The value may hold a secret, so that no message shows it.
        if let Err(variable) = resolve(&value, &|_| Some(String::new())) {
            let shown = if variable.is_empty() { "${" } else { "${…" };
            return Err(de::Error::custom(format!(
                "header {name}: {shown} has no closing brace"
            )));
        }
        headers.insert(name, Secret::new(value));
    }
    Ok(headers)
}

fn parameters<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    let schema = Value::deserialize(deserializer)?;
    if schema["type"] != "object" {
        return Err(de::Error::custom(
            "parameters: expected a JSON schema with type = \"object\"",
        ));
    }
    jsonschema::validator_for(&schema)
        .map_err(|error| de::Error::custom(format!("parameters: no JSON schema: {error}")))?;
    Ok(schema)
}

fn timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .ok()
        .filter(|timeout| *timeout > Duration::ZERO && *timeout <= MAX_TIMEOUT)
        .ok_or_else(|| {
            let most = humantime::format_duration(MAX_TIMEOUT);
            de::Error::custom(format!(
                "{text:?}: expected a duration with a unit, such as 5s, at most {most}"
            ))
        })
}

fn max_response<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let bytes = usize::deserialize(deserializer)?;
    if (1..=MAX_RESPONSE).contains(&bytes) {
        return Ok(bytes);
    }
    Err(de::Error::custom(format!(
        "max_response = {bytes}: expected 1 to {MAX_RESPONSE} bytes"
    )))
}

fn result<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let pointers = BTreeMap::<String, String>::deserialize(deserializer)?;
    let bad = pointers.values().find(|pointer| !pointer.starts_with('/'));
    match bad {
        Some(pointer) => Err(de::Error::custom(format!(
            "{pointer:?} is not a JSON pointer: expected such as \"/coverage/plan\""
        ))),
        None => Ok(pointers),
    }
}

fn outcomes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<u16, String>, D::Error> {
    // TOML's keys are strings.
    let raw = BTreeMap::<String, String>::deserialize(deserializer)?;
    let mut outcomes = BTreeMap::new();
    for (status, outcome) in raw {
        let Some(code) = status.parse().ok().filter(|code| (200..600).contains(code)) else {
            return Err(de::Error::custom(format!(
                "{status:?} is not an HTTP status: expected 200 to 599"
            )));
        };
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if outcome.is_empty() || !outcome.bytes().all(good) {
            return Err(de::Error::custom(format!(
                "{outcome:?} is not an outcome: expected a-z, 0-9 and _, such as not_found"
            )));
        }
        outcomes.insert(code, outcome);
    }
    Ok(outcomes)
}

fn no_parameters() -> Value {
    json!({ "type": "object", "properties": {} })
}

fn usual_timeout() -> Duration {
    USUAL_TIMEOUT
}

fn usual_response() -> usize {
    USUAL_RESPONSE
}

/// The outcome of a success that is not declared.
pub const OK: &str = "ok";
const MAX_NAME: usize = 64;
/// A caller waits for it.
const USUAL_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes.
const USUAL_RESPONSE: usize = 64 << 10;
/// Bytes.
const MAX_RESPONSE: usize = 1 << 20;
/// What frames the request, and what we set.
const OWN_HEADERS: [&str; 7] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "idempotency-key",
    "te",
    "transfer-encoding",
];

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
