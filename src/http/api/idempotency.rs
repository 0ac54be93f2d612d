//! `Idempotency-Key`: a POST that is repeated is answered again and not done again.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use sha2::{Digest as _, Sha256};

use super::MAX_BODY;
use super::access::Principal;
use super::audit::{self, Act};
use super::limits::nothing_done;
use super::problem::Problem;
use crate::call::backoff::Backoff;
use crate::http::App;
use crate::store::{Answer, Claim, Scope, Store, StoreError};

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

/// What the store does an act once by. A repeated request has the same one even where its claim was given up: when a commit was not
/// answered, nobody knows here whether it was done. Without the header each request is an act of its own.
#[derive(Clone)]
pub(super) struct ActKey(pub(super) String);

impl ActKey {
    fn of(act: &str) -> Self {
        Self(format!("api:{act}"))
    }
}

impl<S: Sync> FromRequestParts<S> for ActKey {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let given = parts.extensions.get::<Self>().cloned();
        Ok(given.unwrap_or_else(|| Self::of(&BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 18]>()))))
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
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY)
        .await
        .map_err(|_| Problem::too_large(MAX_BODY))?;
    let hash = fingerprint(&[parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), &body]);
    let claim = Claimed {
        store,
        owner: principal.key.id.clone(),
        key: idempotency_key.to_owned(),
    };
    let act = fingerprint(&[claim.owner.as_bytes(), claim.key.as_bytes(), hash.as_bytes()]);
    parts.extensions.insert(ActKey::of(&act));
    let request = Request::from_parts(parts, Body::from(body));
    let store = claim.store.clone();
    let answer = answer_once(claim, hash, next.run(request)).await?;
    // What is shown again is seen again.
    if answer.headers().contains_key(REPLAYED) && principal.may(Scope::Phi) {
        audit::note(&store, &principal, Act::Read, "repeated answer", None).await?;
    }
    Ok(answer)
}

/// Answers with what the work gives, or gave before. From the claim on it is a task of its own: a client that goes away, or a time
/// limit, must not leave open what came of it.
async fn answer_once(
    claim: Claimed,
    hash: String,
    work: impl Future<Output = Response> + Send + 'static,
) -> Result<Response, Problem> {
    let answered = tokio::spawn(async move {
        match claim.store.claim_request(&claim.owner, &claim.key, &hash).await? {
            Claim::Ours => {}
            Claim::Answered(answer) => return Ok(replay(answer)),
            Claim::Open => return Err(Problem::being_answered()),
            Claim::Other => return Err(Problem::other_request()),
        }
        // How far it came before it panicked nobody knows: it is not done again.
        let answer = AssertUnwindSafe(work).catch_unwind().await;
        let answer = answer.unwrap_or_else(|_| Problem::internal().into_response());
        Ok(claim.keep(answer).await)
    });
    answered.await.map_err(|_| Problem::internal())?
}

/// A request that is ours to answer.
struct Claimed {
    store: Store,
    /// Id of the API key.
    owner: String,
    key: String,
}

impl Claimed {
    /// Writes the answer down and gives it back.
    async fn keep(self, response: Response) -> Response {
        let (parts, body) = response.into_parts();
        let Ok(body) = to_bytes(body, MAX_ANSWER).await else {
            tracing::error!("an API answer was too large to be kept for its idempotency key");
            return Box::pin(self.keep(Problem::internal().into_response())).await;
        };
        let content_type = parts.headers.get(header::CONTENT_TYPE);
        let answer = (!nothing_done(parts.status)).then(|| Answer {
            status: parts.status.as_u16(),
            content_type: content_type
                .and_then(|value| value.to_str().ok())
                .unwrap_or("")
                .to_owned(),
            body: String::from_utf8_lossy(&body).into_owned(),
        });
        if let Err(error) = self.settle(answer.as_ref()).await {
            tracing::warn!(%error, "an API answer is not kept for its idempotency key yet: {error}");
            // Until then a repetition is told to wait, rather than done again.
            tokio::spawn(self.insist(answer));
        }
        Response::from_parts(parts, Body::from(body))
    }

    /// Keeps the answer; without one the request may be made again.
    async fn settle(&self, answer: Option<&Answer>) -> Result<(), StoreError> {
        match answer {
            Some(answer) => self.store.finish_request(&self.owner, &self.key, answer).await,
            None => self.store.release_request(&self.owner, &self.key).await,
        }
    }

    /// The same for a database that fails for a while.
    async fn insist(self, answer: Option<Answer>) {
        let mut backoff = Backoff::new(RETRY, LONGEST_RETRY, GIVEN_UP);
        while backoff.pause().await {
            if self.settle(answer.as_ref()).await.is_ok() {
                return;
            }
        }
        tracing::error!(
            "an API answer could not be kept for its idempotency key: the database has failed for too long"
        );
    }
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
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
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

const REPLAYED: &str = "idempotency-replayed";
/// Answers to POSTs are one record each.
const MAX_ANSWER: usize = 1024 * 1024;
/// Before an answer that could not be kept is written again, the first time.
const RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// A claim lasts a day.
const GIVEN_UP: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tempfile::TempDir;

    use super::*;
    use crate::config::{Config, Strings};
    use crate::store::NewApiKey;

    /// A database with one key.
    struct Desk {
        store: Store,
        owner: String,
        url: String,
        done: Arc<AtomicUsize>,
        _dir: TempDir,
    }

    impl Desk {
        async fn new() -> Self {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let url = format!("sqlite:{}", dir.path().join("tieline.db").display());
            let strings: Strings = [("DATABASE_URL", url.as_str())].into_iter().collect();
            let config = Config::parse(&strings).expect("valid");
            let store = Store::open(&config.database).await.expect("a usable database");
            let new = NewApiKey {
                name: "test".to_owned(),
                scopes: [Scope::Operate].into_iter().collect(),
                lifetime: None,
            };
            let (key, _) = store.create_api_key(&new).await.expect("a key");
            Self {
                store,
                owner: key.id,
                url,
                done: Arc::default(),
                _dir: dir,
            }
        }

        fn claim(&self, key: &str) -> Claimed {
            Claimed {
                store: self.store.clone(),
                owner: self.owner.clone(),
                key: key.to_owned(),
            }
        }

        /// Does the work under a key, once it is clear whether it was done before.
        async fn repeated(&self, key: &str) -> Response {
            let ask = async {
                let mut pace = tokio::time::interval(Duration::from_millis(5));
                loop {
                    match answer_once(self.claim(key), "hash".to_owned(), self.work()).await {
                        Ok(response) => return response,
                        Err(problem) => assert_eq!(problem, Problem::being_answered()),
                    }
                    pace.tick().await;
                }
            };
            let answered = tokio::time::timeout(Duration::from_secs(10), ask).await;
            answered.unwrap_or_else(|_| panic!("the claim of {key} stays open"))
        }

        fn work(&self) -> impl Future<Output = Response> + Send + 'static {
            let done = Arc::clone(&self.done);
            async move {
                done.fetch_add(1, Ordering::Relaxed);
                StatusCode::CREATED.into_response()
            }
        }
    }

    /// Drops the future when it would be polled once more.
    async fn cut<F: Future>(mut polls: usize, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        std::future::poll_fn(|context| {
            if polls == 0 {
                return std::task::Poll::Ready(None);
            }
            polls -= 1;
            future.as_mut().poll(context).map(Some)
        })
        .await
    }

    #[tokio::test]
    async fn a_client_that_goes_away_at_any_moment_leaves_no_claim_open() {
        let desk = Desk::new().await;
        let mut asked = 0;
        loop {
            asked += 1;
            let key = format!("key-{asked}");
            let answer = cut(asked, answer_once(desk.claim(&key), "hash".to_owned(), desk.work())).await;
            assert_eq!(desk.repeated(&key).await.status(), StatusCode::CREATED);
            assert_eq!(desk.done.load(Ordering::Relaxed), asked, "once for each key");
            if answer.is_some() {
                break;
            }
        }
        assert!(asked > 1, "it takes more than one step");
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_and_is_given_again() {
        let desk = Desk::new().await;
        let work = async { panic!("told to panic") };
        let first = answer_once(desk.claim("key"), "hash".to_owned(), work).await;
        let first = first.unwrap_or_else(|problem| problem.into_response());
        let again = desk.repeated("key").await;
        for response in [first, again] {
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        }
        assert_eq!(desk.done.load(Ordering::Relaxed), 0, "it is not done again");
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_kept_at_first_is_kept_in_the_end() {
        let desk = Desk::new().await;
        let raw = sqlx::AnyPool::connect(&desk.url).await.expect("the database");
        let (beside, work) = (raw.clone(), desk.work());
        let work = async move {
            let broken = sqlx::query("ALTER TABLE api_requests RENAME TO gone");
            broken.execute(&beside).await.expect("renamed");
            work.await
        };
        let first = answer_once(desk.claim("key"), "hash".to_owned(), work).await;
        assert_eq!(first.expect("an answer").status(), StatusCode::CREATED);
        let mended = sqlx::query("ALTER TABLE gone RENAME TO api_requests");
        mended.execute(&raw).await.expect("renamed");
        let again = desk.repeated("key").await;
        assert_eq!(again.headers()["idempotency-replayed"], "true");
        assert_eq!(desk.done.load(Ordering::Relaxed), 1);
    }
}
