//! What went wrong, as RFC 9457 has it: which field, and what to do about it. Nothing of what a row holds, and no value that was sent.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::store::{Record, Store, StoreError};

/// An error, `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Names the kind of problem: `urn:tieline:problem:` and a word.
    #[serde(rename = "type", serialize_with = "urn")]
    #[schema(value_type = String, example = "urn:tieline:problem:bad-field")]
    kind: &'static str,
    /// The kind of problem for people; always the same for one `type`.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What went wrong this time.
    detail: String,
    /// The field, parameter or header that is at fault, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<String>,
    /// What to do about it.
    remedy: String,
    /// Seconds after which it may be worth trying again: the header `Retry-After`.
    #[serde(skip)]
    retry_after: Option<u32>,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str) -> Self {
        Self {
            kind,
            title,
            status: status.as_u16(),
            detail: title.to_owned(),
            field: None,
            remedy: String::new(),
            retry_after: None,
        }
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// No key, or one that is not good.
    pub(super) fn unauthorised(detail: &str) -> Self {
        let remedy = "Send `Authorization: Bearer tl_…` with a key of `tieline keys create`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorised", "A good API key is needed")
            .detail(detail)
            .remedy(remedy)
    }

    /// A good key that is not good for this.
    pub(super) fn forbidden(scope: &str) -> Self {
        let remedy = format!("Use a key with the scope {scope}: `tieline keys create --scopes {scope}`");
        Self::new(StatusCode::FORBIDDEN, "scope", "The key's scopes do not allow this")
            .detail(format!("This needs a key with the scope {scope}"))
            .remedy(remedy)
    }

    /// Something that is not there.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing")
            .detail(format!("There is no such {what}"))
            .remedy("See that the path is right; the lists show what there is")
    }

    /// Something that was deleted for good.
    pub(super) fn gone(what: &str, at: Timestamp) -> Self {
        let day = at.strftime("%Y-%m-%d");
        Self::new(StatusCode::GONE, "gone", "It was deleted for good")
            .detail(format!("The content of the {what} was deleted on {day}"))
            .remedy("Nobody can read it any more; the audit trail says why it was deleted")
    }

    /// Something that is not there: it was deleted, or never was.
    pub(super) async fn absent(store: &Store, record: Record<'_>, what: &str) -> Self {
        match store.deleted_at(record).await {
            Ok(Some(at)) => Self::gone(what, at),
            Ok(None) => Self::not_found(what),
            Err(error) => error.into(),
        }
    }

    /// A path of no route.
    pub(super) fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no-route", "The API has no such path")
            .remedy("See /api/docs for the paths there are")
    }

    /// A method that the path does not have.
    pub(super) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", "The path has no such method")
            .remedy("Use a method of the header Allow")
    }

    /// A parameter or header that cannot be read.
    pub(super) fn bad_request(field: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request cannot be read");
        problem.field = Some(field.to_owned());
        problem.detail(detail).remedy(remedy)
    }

    /// A field of the body that does not do.
    pub(super) fn bad_field(field: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        let title = "A field of the request does not do";
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-field", title);
        problem.field = Some(field.to_owned());
        problem.detail(detail).remedy(remedy)
    }

    /// The body is not JSON at all.
    pub(super) fn not_json(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "not-json", "The body is not a JSON object")
            .detail(detail)
            .remedy("Send one JSON object, in UTF-8")
    }

    /// The body is something else than JSON.
    pub(super) fn media_type() -> Self {
        let title = "The body's type is not supported";
        let mut problem = Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", title);
        problem.field = Some("Content-Type".to_owned());
        problem.remedy("Send JSON with `Content-Type: application/json`")
    }

    /// The body is larger than anything sensible.
    pub(super) fn too_large(limit: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large")
            .remedy(format!("Send at most {limit} bytes"))
    }

    /// The same idempotency key with another request.
    pub(super) fn other_request() -> Self {
        let title = "The idempotency key belongs to another request";
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key", title);
        problem.field = Some("Idempotency-Key".to_owned());
        problem.remedy("Use a new key for each request, and the old one only to repeat the same request")
    }

    /// The same request is not answered yet.
    pub(super) fn being_answered() -> Self {
        let title = "The same request is being answered";
        let mut problem = Self::new(StatusCode::CONFLICT, "being-answered", title);
        problem.field = Some("Idempotency-Key".to_owned());
        problem.retry_after = Some(1);
        problem.remedy(
            "Ask again; if this stays so, the server died while it answered: see what came of it, then use a new key",
        )
    }

    /// The thing is in another state than the request needs.
    pub(super) fn conflict(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "Not possible in the present state")
            .detail(detail)
            .remedy(remedy)
    }

    /// More requests than are allowed.
    pub(super) fn too_many(whose: &str, retry_after: u32) -> Self {
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many", "Too many requests");
        problem.retry_after = Some(retry_after);
        problem
            .detail(format!("The {whose} has made too many requests"))
            .remedy("Wait as long as the header Retry-After says, in seconds")
    }

    /// Nothing was done; later it may work.
    pub(super) fn unavailable(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not possible now");
        problem.retry_after = Some(5);
        problem.detail(detail).remedy(remedy)
    }

    /// The answer was not ready in time; what was begun may still be done.
    pub(super) fn timeout() -> Self {
        let title = "The answer was not ready in time";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", title)
            .remedy("Look whether it was done before you repeat it, or repeat it with the same Idempotency-Key")
    }

    /// The carrier refused or failed; nothing rings.
    pub(super) fn carrier(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "carrier", "The carrier did not do it")
            .detail(detail)
            .remedy("See the carrier's console, and the server's log")
    }

    /// A fault of ours.
    pub(super) fn internal() -> Self {
        let title = "The server has failed";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title).remedy("See the server's log")
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownCustomer => Self::bad_field(
                "customer_number",
                "There is no customer of that number",
                "Create the customer first, or see /api/customers",
            ),
            StoreError::UnknownCall => Self::not_found("call"),
            StoreError::BadText { field } => Self::bad_field(
                field,
                format!("{field} is empty, too long, holds a NUL or has the wrong form"),
                "See the field's description in /api/docs",
            ),
            StoreError::Shredded => Self::new(StatusCode::GONE, "gone", "It was deleted for good")
                .remedy("Nobody can read it any more; the audit trail says why it was deleted"),
            StoreError::NumbersUsedUp { .. }
            | StoreError::Unreadable { .. }
            | StoreError::Altered { .. }
            | StoreError::Missing { .. }
            | StoreError::NoKek { .. } => {
                tracing::error!(%error, "an API request has failed: {error}");
                Self::internal()
            }
            StoreError::Database { .. } => {
                tracing::error!(%error, "an API request has failed: {error}");
                Self::unavailable(
                    "The database does not answer",
                    "Try again; see the server's log if this stays so",
                )
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let challenge = match status {
            StatusCode::UNAUTHORIZED => Some(r#"Bearer realm="tieline""#),
            StatusCode::FORBIDDEN => Some(r#"Bearer realm="tieline", error="insufficient_scope""#),
            _ => None,
        };
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(challenge) = challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

fn urn<S: Serializer>(kind: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("urn:tieline:problem:{kind}"))
}

/// RFC 9457.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";
