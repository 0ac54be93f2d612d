//! `Idempotency-Key`: a POST that is repeated is answered again and not done again.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use super::MAX_BODY;
use super::access::Principal;
use super::limits::nothing_done;
use super::problem::Problem;
use crate::http::App;
use crate::store::{Answer, Claim, Store};

/// The request header, as draft-ietf-httpapi-idempotency-key-header has it, without its quotes.
pub(super) const HEADER: &str = "Idempotency-Key";

/// Answers a repeated request as before. It stands behind the check of the key: whose answers these are is known.
pub(super) async fn repeat(
    State(app): State<Arc<App>>,
    principal: Principal,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let Some(given) = request.headers().get(HEADER) else {
        return next.run(request).await;
    };
    match once(&app, principal, given.clone(), request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn once(
    app: &App,
    principal: Principal,
    given: HeaderValue,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let idempotency_key = given.to_str().ok().filter(|key| good(key)).ok_or_else(|| {
        Problem::bad_request(
            HEADER,
            "The idempotency key is not 1 to 200 visible ASCII characters",
            "Send a random text, such as a UUID",
        )
    })?;
    let store = super::store(app)?.clone();
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY)
        .await
        .map_err(|_| Problem::too_large(MAX_BODY))?;
    let hash = fingerprint(&[parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), &body]);
    let owner = principal.0.id.clone();
    match store.claim_request(&owner, idempotency_key, &hash).await? {
        Claim::Ours => {}
        Claim::Answered(answer) => return Ok(replay(answer)),
        Claim::Open => return Err(Problem::being_answered()),
        Claim::Other => return Err(Problem::other_request()),
    }
    let request = Request::from_parts(parts, Body::from(body));
    let key = idempotency_key.to_owned();
    // A task of its own: a client that goes away, or a time limit, must not leave open what came of it.
    let answered = tokio::spawn(async move {
        let response = next.run(request).await;
        keep(&store, &owner, &key, response).await
    });
    answered.await.map_err(|_| Problem::internal())
}

/// Writes the answer down and gives it back.
async fn keep(store: &Store, owner: &str, key: &str, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, MAX_ANSWER).await else {
        tracing::error!("an API answer was too large to be kept for its idempotency key");
        return Problem::internal().into_response();
    };
    let content_type = parts.headers.get(header::CONTENT_TYPE);
    let kept = if nothing_done(parts.status) {
        store.release_request(owner, key).await
    } else {
        let answer = Answer {
            status: parts.status.as_u16(),
            content_type: content_type
                .and_then(|value| value.to_str().ok())
                .unwrap_or("")
                .to_owned(),
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        store.finish_request(owner, key, &answer).await
    };
    if let Err(error) = kept {
        // The claim stays: a repetition is told so, rather than done again.
        tracing::error!(%error, "an API answer could not be kept for its idempotency key: {error}");
    }
    Response::from_parts(parts, Body::from(body))
}

fn replay(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    if let Ok(value) = HeaderValue::from_str(&answer.content_type)
        && !value.is_empty()
    {
        headers.insert(header::CONTENT_TYPE, value);
    }
    headers.insert("Idempotency-Replayed", HeaderValue::from_static("true"));
    response
}

fn good(key: &str) -> bool {
    (1..=200).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Each part with its length, so that none can be mistaken for the end of another.
fn fingerprint(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Answers to POSTs are one record each.
const MAX_ANSWER: usize = 1024 * 1024;
