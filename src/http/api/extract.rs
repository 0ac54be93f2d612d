//! Bodies, queries and paths, read strictly: what is wrong is named, and what was sent is not repeated.

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::MAX_BODY;
use super::problem::Problem;
use crate::twilio::form::LONGEST_CALL;

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or("");
        let essence = content_type.split(';').next().unwrap_or("").trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(Problem::media_type());
        }
        let bytes = to_bytes(request.into_body(), MAX_BODY)
            .await
            .map_err(|_| Problem::too_large(MAX_BODY))?;
        // serde would take an array for the fields in order.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(Problem::not_json("It does not begin as an object does"));
        }
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            explain(&path, error.inner())
        })?;
        reader.end().map_err(|error| explain(".", &error))?;
        Ok(Self(value))
    }
}

/// The query, in which nothing unknown may be: a filter that is misspelt would show too much.
pub(super) struct Query<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or("");
        let reader = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        let value = serde_path_to_error::deserialize(reader).map_err(|error| {
            let path = error.path().to_string();
            let (field, detail) = fault(&path, &error.inner().to_string());
            Problem::bad_request(&field, detail, REMEDY)
        })?;
        Ok(Self(value))
    }
}

/// The one parameter in a path: letters, digits, `-`, `_` and, as in Telnyx' ids of calls, `:`. Anything else is the id of nothing.
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::not_found("thing"))?;
        let id = params.iter().next().map(|(_, value)| value);
        let plain = |id: &&str| {
            (1..=LONGEST_CALL).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':'))
        };
        let id = id.filter(plain).ok_or_else(|| Problem::not_found("thing"))?;
        Ok(Self(id.to_owned()))
    }
}

fn explain(path: &str, error: &serde_json::Error) -> Problem {
    if error.is_data() {
        let message = error.to_string();
        let (field, detail) = fault(path, message.split(" at line ").next().unwrap_or(""));
        return Problem::bad_field(&field, detail, REMEDY);
    }
    Problem::not_json(format!(
        "It stops being JSON at line {}, column {}",
        error.line(),
        error.column()
    ))
}

/// The field and what is the matter with it, from serde's message, of which only what we wrote ourselves is kept: names of fields
/// and what was expected, not what was sent.
fn fault(path: &str, message: &str) -> (String, String) {
    let path = if path == "." { "" } else { path };
    let named = message.split('`').nth(1).unwrap_or("");
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        path => format!("{path}.{name}"),
    };
    let expected = message.rsplit_once("expected ").map(|(_, expected)| expected);
    if message.starts_with("missing field") {
        (below(named), format!("{named} is missing"))
    } else if message.starts_with("unknown field") {
        let known = expected.map_or_else(
            || "no field is known here".to_owned(),
            |known| format!("expected {known}"),
        );
        (
            if path.is_empty() { "(unknown)" } else { path }.to_owned(),
            format!("There is a field that is not known: {known}"),
        )
    } else if message.starts_with("duplicate field") {
        (below(named), format!("{named} is there twice"))
    } else {
        let field = if path.is_empty() { "(body)" } else { path };
        let detail = expected.map_or_else(
            || format!("{field} has the wrong form"),
            |expected| format!("{field} is not what it should be: expected {expected}"),
        );
        (field.to_owned(), detail)
    }
}

const REMEDY: &str = "See the fields' descriptions in /api/docs";

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read from JSON")]
    struct Outer {
        count: u32,
        kind: Option<Kind>,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read from JSON")]
    struct Inner {
        name: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Good,
    }

    #[test]
    fn faults_name_the_field_and_never_the_value() {
        let problem = |text: &str| {
            let reader = &mut serde_json::Deserializer::from_str(text);
            let error = serde_path_to_error::deserialize::<_, Outer>(reader).expect_err(text);
            let problem = explain(&error.path().to_string(), error.inner());
            serde_json::to_value(problem).expect("JSON")
        };
        for (text, status, field, detail) in [
            ("{}", 422, Some("count"), "count is missing"),
            (
                r#"{"count":"Zebra"}"#,
                422,
                Some("count"),
                "count is not what it should be: expected u32",
            ),
            (
                r#"{"count":-1}"#,
                422,
                Some("count"),
                "count is not what it should be: expected u32",
            ),
            (
                r#"{"count":1,"kind":"Zebra"}"#,
                422,
                Some("kind"),
                "kind is not what it should be: expected `good`",
            ),
            (
                r#"{"count":1,"inner":{"name":[]}}"#,
                422,
                Some("inner.name"),
                "inner.name is not what it should be: expected a string",
            ),
            (r#"{"count":1,"inner":{}}"#, 422, Some("inner.name"), "name is missing"),
            (
                r#"{"count":1,"Zebra":1}"#,
                422,
                // The client's own word for it.
                Some("Zebra"),
                "There is a field that is not known: expected one of `count`, `kind`, `inner`",
            ),
            (r#"{"count":1"#, 400, None, "It stops being JSON at line 1, column 10"),
        ] {
            let problem = problem(text);
            let found = (
                &problem["status"],
                problem["field"].as_str(),
                problem["detail"].as_str(),
            );
            assert_eq!(found, (&status.into(), field, Some(detail)), "{text}");
        }
    }
}
