//! Requests that must come from Twilio: the signature is checked before anything else is looked at.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;

use crate::http::{App, refuse};
use crate::twilio::signature::{self, Algorithm, Body};

/// A verified form POST of Twilio.
pub(super) struct SignedForm {
    fields: Vec<(String, String)>,
    /// How Twilio reaches this server: `https://voice.example.org`.
    pub(super) base: String,
    pub(super) call_sid: String,
    pub(super) account_sid: String,
}

impl SignedForm {
    /// A form field.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

impl FromRequest<Arc<App>> for SignedForm {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let (uri, headers) = (request.uri().clone(), request.headers().clone());
        let body = Bytes::from_request(request, app)
            .await
            .map_err(|_| refuse(StatusCode::PAYLOAD_TOO_LARGE, "the form is too large or was cut off"))?;
        let fields: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
        verify(app, &uri, &headers, "http", Body::Form(&fields))?;
        let id = |name: &str| {
            let found = fields
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str());
            found.filter(|id| is_sid(id)).map(str::to_owned)
        };
        let (Some(call_sid), Some(account_sid)) = (id("CallSid"), id("AccountSid")) else {
            return Err(refuse(
                StatusCode::BAD_REQUEST,
                "CallSid or AccountSid is missing or malformed",
            ));
        };
        if app.twilio.account_sid.as_ref().is_some_and(|ours| *ours != account_sid) {
            tracing::warn!("a webhook came for another Twilio account and was refused; check TWILIO_ACCOUNT_SID");
            return Err(refuse(StatusCode::FORBIDDEN, "not an account of this server"));
        }
        let base = base(app, &headers, "http").ok_or_else(no_host)?;
        Ok(Self {
            fields,
            base,
            call_sid,
            account_sid,
        })
    }
}

/// Refuses a request whose signature is not Twilio's. Without an auth token every request passes; the configuration
/// allows that only on a local address.
#[expect(clippy::result_large_err, reason = "the error is the HTTP answer itself")]
pub(super) fn verify(app: &App, uri: &Uri, headers: &HeaderMap, scheme: &str, body: Body<'_>) -> Result<(), Response> {
    let Some(token) = &app.twilio.auth_token else {
        return Ok(());
    };
    let base = base(app, headers, scheme).ok_or_else(no_host)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let given = headers
        .get("x-twilio-signature")
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let urls = signature::candidates(&format!("{base}{path}"));
    if signature::verify(&[token.expose()], Algorithm::Sha1, &urls, body, given) {
        return Ok(());
    }
    tracing::warn!(
        path = uri.path(),
        "a request to {} is not signed by Twilio for {base}; check PUBLIC_URL and TWILIO_AUTH_TOKEN",
        uri.path()
    );
    Err(refuse(StatusCode::FORBIDDEN, "the signature is missing or wrong"))
}

/// How Twilio reaches this server. `PUBLIC_URL` decides; a request's own `Host` only where none is set, which is local.
pub(super) fn base(app: &App, headers: &HeaderMap, scheme: &str) -> Option<String> {
    if let Some(url) = &app.public_url {
        let secure = url.scheme() == "https";
        let scheme = match (scheme, secure) {
            ("ws", true) => "wss",
            ("ws", false) => "ws",
            (_, true) => "https",
            (_, false) => "http",
        };
        let rest = url.as_str().split_once("://").map_or("", |(_, rest)| rest);
        return Some(format!("{scheme}://{}", rest.trim_end_matches('/')));
    }
    let host = headers.get(header::HOST)?.to_str().ok()?;
    Some(format!("{scheme}://{host}"))
}

/// Letters and digits only, so that an id can stand in a log line or a URL.
pub(super) fn is_sid(id: &str) -> bool {
    (2..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn no_host() -> Response {
    refuse(
        StatusCode::BAD_REQUEST,
        "the request has no usable Host; set PUBLIC_URL",
    )
}
