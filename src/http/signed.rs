//! Requests that must come from Twilio: the signature is checked before anything else is looked at.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;

use crate::config::Secret;
use crate::http::{App, refuse};
use crate::twilio::dialect::Dialect;
use crate::twilio::form::Form;
use crate::twilio::signature::{self, Algorithm, Body};

/// A verified form POST of Twilio.
pub(super) struct SignedForm {
    form: Form,
    /// How Twilio reaches this server: `https://voice.example.org`.
    pub(super) base: String,
    pub(super) call_sid: String,
    account_sid: String,
}

impl SignedForm {
    /// A form field.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.form.field(name)
    }

    /// Whose call it is, among all lines' accounts.
    pub(super) fn account(&self) -> String {
        Dialect::Twilio.account(&self.account_sid)
    }
}

impl FromRequest<Arc<App>> for SignedForm {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let (uri, headers) = (request.uri().clone(), request.headers().clone());
        let body = Bytes::from_request(request, app)
            .await
            .map_err(|_| refuse(StatusCode::PAYLOAD_TOO_LARGE, "the form is too large or was cut off"))?;
        let (form, base) = if is_form(&headers) {
            let form = Form::urlencoded(&body);
            let base = verify(app, &uri, &headers, "http", Body::Form(form.pairs()))?;
            if !form.is_whole(Dialect::Twilio) {
                return Err(refuse(StatusCode::BAD_REQUEST, "CallStatus is missing"));
            }
            (form, base)
        } else {
            // Its signature covers every byte.
            let base = verify(app, &uri, &headers, "http", Body::Raw(&body))?;
            (Form::json(&body), base)
        };
        let id = |name: &str| form.id(name).map(str::to_owned);
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
        Ok(Self {
            form,
            base,
            call_sid,
            account_sid,
        })
    }
}

/// Refuses a request whose signature is not Twilio's; returns the address it is signed for, with `scheme` or its secure form.
///
/// Without any key nothing is Twilio's. Only [`crate::http::TwilioAccount::unverified`] lets requests pass as they are.
#[expect(clippy::result_large_err, reason = "the error is the HTTP answer itself")]
pub(super) fn verify(
    app: &App,
    uri: &Uri,
    headers: &HeaderMap,
    scheme: &str,
    body: Body<'_>,
) -> Result<String, Response> {
    let bases = bases(app, headers, scheme);
    let account = &app.twilio;
    if account.unverified {
        return bases.into_iter().next().ok_or_else(no_host);
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let keys = account.auth_token.iter().chain(&account.other_key);
    let keys: Vec<&str> = keys.map(Secret::expose).collect();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let given = text(signature::HEADER).unwrap_or("");
    if Algorithm::from_settings(text(signature::SETTINGS_HEADER)) == Some(account.algorithm) {
        let signed = |base: &String| {
            let urls = signature::candidates(&format!("{base}{path}"));
            signature::verify(&keys, account.algorithm, &urls, body, given)
        };
        if let Some(base) = bases.into_iter().find(signed) {
            return Ok(base);
        }
    }
    tracing::warn!(
        path = uri.path(),
        "a request to {} is not signed by Twilio for this server; check PUBLIC_URL, TWILIO_AUTH_TOKEN and TWILIO_SIGNATURE",
        uri.path()
    );
    Err(refuse(StatusCode::FORBIDDEN, "forbidden"))
}

/// How Twilio may reach this server. `PUBLIC_URL` decides; a request's own `Host` only where none is set, which is local.
fn bases(app: &App, headers: &HeaderMap, scheme: &str) -> Vec<String> {
    let public = app.public_url.iter().chain(&app.also_public).map(|url| {
        let secure = if url.scheme() == "https" { "s" } else { "" };
        let rest = url.as_str().split_once("://").map_or("", |(_, rest)| rest);
        format!("{scheme}{secure}://{}", rest.trim_end_matches('/'))
    });
    let public: Vec<String> = public.collect();
    if !public.is_empty() {
        return public;
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.map(|host| format!("{scheme}://{host}")).into_iter().collect()
}

/// Twilio's requests are forms unless they say otherwise.
fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let form = FORM.as_bytes();
    kind.is_none_or(|kind| kind.len() >= form.len() && kind[..form.len()].eq_ignore_ascii_case(form))
}

fn no_host() -> Response {
    refuse(
        StatusCode::BAD_REQUEST,
        "the request has no usable Host; set PUBLIC_URL",
    )
}

const FORM: &str = "application/x-www-form-urlencoded";
