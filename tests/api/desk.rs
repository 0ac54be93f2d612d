//! A server with a database, and somebody who asks it things.

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tieline::store::{NewApiKey, Scope, Store};

use crate::fresh::Fresh;
use crate::support::{Setup, TestServer, soon};

pub(crate) struct Desk {
    pub(crate) server: TestServer,
    pub(crate) store: Store,
    pub(crate) fresh: Fresh,
}

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    /// On a SQLite file with the seed data.
    pub(crate) async fn with(setup: Setup) -> Self {
        Self::made(|_| setup).await
    }

    /// The same for a server that is set up around its database.
    pub(crate) async fn made(setup: impl FnOnce(&Store) -> Setup) -> Self {
        let fresh = Fresh::sqlite();
        let store = fresh.open().await;
        let server = TestServer::start(Setup {
            store: Some(store.clone()),
            ..setup(&store)
        })
        .await;
        Self { server, store, fresh }
    }

    /// A new key.
    pub(crate) async fn key(&self, scopes: &[Scope]) -> String {
        let new = NewApiKey {
            name: "test".to_owned(),
            scopes: scopes.iter().copied().collect(),
            lifetime: None,
        };
        let (_, secret) = self.store.create_api_key(&new).await.expect("a key");
        secret.expose().to_owned()
    }

    pub(crate) fn request(&self, method: Method, path: &str, key: &str) -> RequestBuilder {
        self.server.http.request(method, self.server.url(path)).bearer_auth(key)
    }

    pub(crate) async fn get(&self, path: &str, key: &str) -> Reply {
        Reply::of(self.request(Method::GET, path, key)).await
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Reply {
        Reply::of(self.request(Method::POST, path, key).json(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, key: &str, body: &Value) -> Reply {
        Reply::of(self.request(Method::PATCH, path, key).json(body)).await
    }
}

impl Reply {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let answer = soon("the answer", request.send()).await.expect("an answer");
        Self {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            text: answer.text().await.expect("a text"),
        }
    }

    /// The body of a success.
    pub(crate) fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.text);
        self.json()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    }

    /// Checks that it is a problem as RFC 9457 has it, and returns its kind and field.
    pub(crate) fn problem(&self, status: u16) -> (String, Option<String>) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["status"], status);
        for text in ["title", "detail", "remedy"] {
            assert!(
                body[text].as_str().is_some_and(|text| !text.is_empty()),
                "{text}: {body}"
            );
        }
        let kind = body["type"]
            .as_str()
            .and_then(|kind| kind.strip_prefix("urn:tieline:problem:"));
        let field = body["field"].as_str().map(str::to_owned);
        (kind.expect("a kind").to_owned(), field)
    }
}
