//! TLS that ends at the server itself: calls over https and wss, certificates that are replaced, clients that say nothing; and
//! the headers of every answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use tieline::caller::{CallError, Event, Happened, Target};
use tieline::config::TlsFiles;
use tieline::http::router;
use tieline::http::tls::{self, Certificate};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::nginx::{call, make_certificate};
use crate::support::{AUTH_TOKEN, Setup, TestServer, soon};

/// A server that listens by TLS, too.
struct Secure {
    _server: TestServer,
    _llm: crate::http_server::HttpServer,
    dir: tempfile::TempDir,
    port: u16,
    certificate: Arc<Certificate>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Secure {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        make_certificate(dir.path()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (server, llm) = TestServer::with_llm(Setup {
            auth_token: Some(AUTH_TOKEN),
            public_url: Some(String::leak(format!("https://localhost:{port}"))),
            ..Setup::default()
        })
        .await;
        let certificate = Certificate::read(files(dir.path())).expect("good files");
        let task = tls::spawn(listener, router(Arc::clone(&server.app)), Arc::clone(&certificate)).expect("TLS");
        Self {
            _server: server,
            _llm: llm,
            dir,
            port,
            certificate,
            task,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    fn shown(&self) -> PathBuf {
        self.dir.path().join("fullchain.pem")
    }

    fn webhook(&self) -> Target {
        Target::Webhook {
            url: self.url("/voice/incoming"),
            public_url: None,
        }
    }

    async fn healthy(&self, client: &reqwest::Client) -> Result<HeaderMap, reqwest::Error> {
        let answer = soon("an answer", client.get(self.url("/voice/health")).send()).await?;
        assert_eq!(answer.status(), 200);
        Ok(answer.headers().clone())
    }
}

fn files(dir: &Path) -> TlsFiles {
    TlsFiles {
        cert: dir.join("fullchain.pem"),
        key: dir.join("privkey.pem"),
    }
}

fn client(trusted: &Path) -> reqwest::ClientBuilder {
    let pem = std::fs::read(trusted).expect("readable");
    let certificate = reqwest::Certificate::from_pem(&pem).expect("a certificate");
    reqwest::Client::builder().tls_certs_only([certificate])
}

fn copy(from: &Path, to: &Path, name: &str) {
    std::fs::copy(from.join(name), to.join(name)).expect("copied");
}

#[tokio::test]
async fn a_call_goes_on_while_the_certificate_is_replaced_and_nobody_new_is_taken() {
    let secure = Secure::start().await;
    let (old, new) = (
        tempfile::tempdir().expect("a directory"),
        tempfile::tempdir().expect("a directory"),
    );
    copy(secure.dir.path(), old.path(), "fullchain.pem");
    make_certificate(new.path()).await;
    let mut replaced = false;
    let mut observe = |event: Event| {
        // The stream is open by then.
        if matches!(event.happened, Happened::Answered { turn: 0, .. }) {
            replaced = true;
            copy(new.path(), secure.dir.path(), "privkey.pem");
            copy(new.path(), secure.dir.path(), "fullchain.pem");
            assert!(
                secure.certificate.look().expect("a good pair"),
                "the files have changed"
            );
        }
    };
    let trusted = old.path().join("fullchain.pem");
    let report = call(secure.webhook(), AUTH_TOKEN, &trusted, &mut observe)
        .await
        .expect("a call");
    assert!(replaced);
    assert_eq!(report.errors, Vec::<String>::new());
    assert_eq!(report.turns.len(), 1);
    let old_trust = client(&trusted).build().expect("a client");
    let error = secure
        .healthy(&old_trust)
        .await
        .expect_err("the old certificate is not shown any more");
    assert!(error.is_connect(), "{error}");
    let new_trust = client(&secure.shown()).build().expect("a client");
    secure.healthy(&new_trust).await.expect("the new one is");
    assert!(!secure.certificate.look().expect("nothing new"));

    // Once more, with the server told to take nobody new while the call lasts.
    let mut observe = |event: Event| {
        if matches!(event.happened, Happened::Answered { turn: 0, .. }) {
            secure.task.abort();
        }
    };
    let report = call(secure.webhook(), AUTH_TOKEN, &secure.shown(), &mut observe)
        .await
        .expect("a call");
    assert_eq!(report.errors, Vec::<String>::new());
    assert_eq!(report.turns.len(), 1);
}

#[tokio::test]
async fn strangers_without_the_token_are_refused_over_tls_too() {
    let secure = Secure::start().await;
    let refused = call(secure.webhook(), "another token", &secure.shown(), &mut |_| {}).await;
    assert!(
        matches!(refused, Err(CallError::Refused { status: 403, .. })),
        "{refused:?}"
    );
    let stream = Target::Stream {
        url: secure.url("/voice/stream").replacen("https", "wss", 1),
    };
    let Err(CallError::Dial { reason, .. }) = call(stream, "another token", &secure.shown(), &mut |_| {}).await else {
        panic!("the upgrade was not refused");
    };
    assert!(reason.contains("403"), "{reason}");
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken_and_plain_text_is_not() {
    let secure = Secure::start().await;
    for version in [reqwest::tls::Version::TLS_1_2, reqwest::tls::Version::TLS_1_3] {
        let only = client(&secure.shown())
            .tls_version_min(version)
            .tls_version_max(version);
        let headers = secure.healthy(&only.build().expect("a client")).await.expect("spoken");
        assert_eq!(headers["strict-transport-security"], "max-age=31536000");
    }
    let mut plain = TcpStream::connect(("127.0.0.1", secure.port))
        .await
        .expect("a connection");
    plain
        .write_all(b"GET /voice/health HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = Vec::new();
    let _ = soon("the end", plain.read_to_end(&mut answer)).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");
}

#[tokio::test]
async fn who_connects_and_says_nothing_keeps_nobody_waiting() {
    let secure = Secure::start().await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(
            TcpStream::connect(("127.0.0.1", secure.port))
                .await
                .expect("a connection"),
        );
    }
    let trusting = client(&secure.shown()).build().expect("a client");
    let answered = tokio::time::timeout(Duration::from_secs(8), secure.healthy(&trusting)).await;
    answered.expect("before any of them has timed out").expect("an answer");
}

#[tokio::test]
async fn a_pair_that_is_not_good_changes_nothing_and_says_which_file() {
    let secure = Secure::start().await;
    let other = tempfile::tempdir().expect("a directory");
    make_certificate(other.path()).await;
    let old = tempfile::tempdir().expect("a directory");
    copy(secure.dir.path(), old.path(), "fullchain.pem");
    copy(secure.dir.path(), old.path(), "privkey.pem");
    let trusting = client(&secure.shown()).build().expect("a client");
    let key = secure.dir.path().join("privkey.pem");
    for (name, text, parts) in [
        (
            "fullchain.pem",
            None,
            &["TLS_CERT", "TLS_KEY", "do not belong together"][..],
        ),
        ("fullchain.pem", Some(""), &["TLS_CERT", "holds none", "fullchain.pem"]),
        (
            "privkey.pem",
            Some("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n"),
            &["TLS_KEY", "privkey.pem"],
        ),
    ] {
        match text {
            None => copy(other.path(), secure.dir.path(), name),
            Some(text) => std::fs::write(secure.dir.path().join(name), text).expect("written"),
        }
        let error = secure.certificate.look().expect_err(name).to_string();
        for part in parts {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert!(!error.contains("c2VjcmV0"), "{error}");
        secure.healthy(&trusting).await.expect("the old one is shown still");
        copy(old.path(), secure.dir.path(), name);
    }
    std::fs::remove_file(&key).expect("removed");
    let error = Certificate::read(files(secure.dir.path()))
        .expect_err("no key")
        .to_string();
    assert!(
        error.contains("TLS_KEY") && error.contains("readable for this user"),
        "{error}"
    );
}

#[tokio::test]
async fn every_answer_tells_browsers_to_keep_out() {
    let server = TestServer::start(Setup::default()).await;
    for (path, status) in [
        ("/voice/health", 503),
        ("/api/docs", 200),
        ("/api/openapi.json", 200),
        ("/api/calls", 401),
        ("/nothing", 404),
        ("/voice/incoming", 405),
    ] {
        let answer = soon("an answer", server.http.get(server.url(path)).send())
            .await
            .expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let headers = answer.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        let policies: Vec<_> = headers.get_all("content-security-policy").iter().collect();
        let [policy] = &policies[..] else {
            panic!("{path}: {policies:?}")
        };
        let policy = policy.to_str().expect("a text");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        // Only who speaks TLS may promise it.
        assert!(!headers.contains_key("strict-transport-security"), "{path}");
    }
}
