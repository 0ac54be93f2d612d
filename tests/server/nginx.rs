//! `deploy/nginx.conf`: a real nginx ends TLS in front of the server, and calls come through it.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tieline::caller::{CallError, Event, Pace, Plan, Target, Trust, Utterance, place_call_trusting};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::phone::voice;
use crate::support::{ACCOUNT, AUTH_TOKEN, FROM, GREETING, Setup, TestServer, pace, soon, until};

/// nginx with the configuration that we recommend, but for names, ports and paths; and a server behind it.
struct Proxied {
    server: TestServer,
    _llm: crate::http_server::HttpServer,
    url: String,
    certificate: PathBuf,
    _nginx: Child,
    dir: tempfile::TempDir,
}

impl Proxied {
    /// `None` where there is no nginx, which on Linux is a fault.
    async fn start() -> Option<Self> {
        let Some(nginx) = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"]
            .into_iter()
            .find(|path| Path::new(path).exists())
        else {
            // Elsewhere bootstrap.sh installs none.
            if cfg!(target_os = "linux") {
                panic!("no nginx: run scripts/bootstrap.sh --tests");
            }
            return None;
        };
        let dir = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let url = format!("https://localhost:{port}");
        let (server, llm) = TestServer::with_llm(Setup {
            auth_token: Some(AUTH_TOKEN),
            public_url: Some(String::leak(url.clone())),
            ..Setup::default()
        })
        .await;
        let certificate = make_certificate(dir.path()).await;
        let configuration = dir.path().join("nginx.conf");
        std::fs::write(&configuration, configuration_for(dir.path(), port, server.address)).expect("written");
        let nginx = Command::new(nginx)
            .arg("-p")
            .arg(dir.path())
            .arg("-c")
            .arg(&configuration)
            .stderr(Stdio::null())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("nginx starts");
        let proxied = Self {
            server,
            _llm: llm,
            url,
            certificate,
            _nginx: nginx,
            dir,
        };
        proxied.listens(port).await;
        Some(proxied)
    }

    async fn listens(&self, port: u16) {
        let listening = async {
            let mut beat = pace(Duration::from_millis(20));
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                beat.tick().await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(15), listening).await.is_err() {
            let log = std::fs::read_to_string(self.dir.path().join("error.log")).unwrap_or_default();
            panic!("nginx does not listen: {log}");
        }
    }

    async fn call(&self, target: Target, token: &str) -> Result<tieline::caller::Report, CallError> {
        call(target, token, &self.certificate, &mut |_| {}).await
    }

    fn webhook(&self) -> Target {
        Target::Webhook {
            url: format!("{}/voice/incoming", self.url),
            public_url: None,
        }
    }

    /// What `tieline doctor` says of the public URL, and whether it trusts our certificate.
    async fn doctor(&self, token: &str, trusting: bool) -> Vec<(String, String)> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tieline"));
        command
            .args(["doctor", "--json"])
            .env_clear()
            .env("PUBLIC_URL", &self.url)
            .env("TWILIO_AUTH_TOKEN", token)
            .env("BIND", self.server.address.to_string())
            .env("DATA_DIR", self.dir.path())
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        if trusting {
            command.env("SSL_CERT_FILE", &self.certificate);
        }
        let output = soon("the doctor", command.output()).await.expect("it runs");
        let page: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let checks = page["checks"].as_array().expect("checks").iter();
        let about = checks.filter(|check| check["topic"] == "public URL");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        about
            .map(|check| (text(&check["state"]), text(&check["found"])))
            .collect()
    }
}

#[tokio::test]
async fn a_call_comes_through_nginx_and_a_wrong_token_does_not() {
    let Some(proxied) = Proxied::start().await else { return };
    let report = proxied.call(proxied.webhook(), AUTH_TOKEN).await.expect("a call");
    assert_eq!(report.errors, Vec::<String>::new());
    assert_eq!(report.turns.len(), 1);

    let refused = proxied.call(proxied.webhook(), "another token").await;
    assert!(
        matches!(refused, Err(CallError::Refused { status: 403, .. })),
        "{refused:?}"
    );

    let stream = Target::Stream {
        url: format!("{}/voice/stream", proxied.url.replacen("https", "wss", 1)),
    };
    let Err(CallError::Dial { reason, .. }) = proxied.call(stream, "another token").await else {
        panic!("the upgrade was not refused");
    };
    assert!(reason.contains("403"), "{reason}");

    // Nobody who comes through a proxy gets to the trace.
    let heard = report.greeting.agent_heard.as_deref();
    assert!(heard.is_none() || heard == Some(GREETING));
}

#[tokio::test]
async fn the_doctor_follows_the_public_url_through_nginx() {
    let Some(proxied) = Proxied::start().await else { return };
    let said = |lines: &[(String, String)], state: &str, part: &str| {
        assert!(
            lines.iter().any(|(found, text)| found == state && text.contains(part)),
            "no {state} with {part:?} in {lines:?}"
        );
    };
    let lines = proxied.doctor(AUTH_TOKEN, true).await;
    said(&lines, "ok", "leads to this server; its certificate is valid");
    said(&lines, "ok", "WebSockets come through");
    let lines = proxied.doctor("another", true).await;
    said(&lines, "fail", "refuses our signature");
    let lines = proxied.doctor(AUTH_TOKEN, false).await;
    said(&lines, "fail", "certificate is not trusted");
}

/// One turn of a caller who trusts this certificate.
pub(crate) async fn call(
    target: Target,
    token: &str,
    certificate: &Path,
    observe: &mut (dyn FnMut(Event) + Send),
) -> Result<tieline::caller::Report, CallError> {
    let said = voice(400);
    let frames = said.chunks_exact(160).map(|frame| frame.try_into().expect("a frame"));
    let plan = Plan {
        target,
        auth_token: Some(token.to_owned()),
        account_sid: ACCOUNT.to_owned(),
        from: FROM.to_owned(),
        to: "+15550100200".to_owned(),
        turns: vec![Utterance {
            label: "a buzz".to_owned(),
            frames: frames.collect(),
        }],
        pace: Pace {
            quiet: Duration::from_millis(200),
            ..Pace::default()
        },
    };
    let trust = Trust::with_file(certificate).expect("a certificate");
    soon("the call", Box::pin(place_call_trusting(plan, &trust, observe))).await
}

#[tokio::test]
async fn what_is_secret_in_a_path_is_not_logged() {
    let Some(proxied) = Proxied::start().await else { return };
    let pem = std::fs::read(&proxied.certificate).expect("readable");
    let root = reqwest::Certificate::from_pem(&pem).expect("a certificate");
    let client = reqwest::Client::builder()
        .add_root_certificate(root)
        .build()
        .expect("a client");
    let paths = [
        ("/exotel/incoming/s3cret?CallSid=s3cret", "/exotel/incoming/-"),
        ("/exotel/stream/s3cret/s3cret", "/exotel/stream/-"),
        ("/plivo/stream/s3cret/s3cret", "/plivo/stream/-"),
        ("/telnyx/stream/s3cret/s3cret", "/telnyx/stream/-"),
        ("/voice/audio/s3cret.wav", "/voice/audio/-"),
        ("/api/customers/s3cret", "/api/customers/-"),
        ("/api/task-orders/s3cret", "/api/task-orders/-"),
        ("/voice/health?s3cret", "/voice/health"),
    ];
    for (path, _) in paths {
        let asked = client.get(format!("{}{path}", proxied.url)).send();
        soon("an answer", asked).await.expect("an answer");
    }
    let log = || std::fs::read_to_string(proxied.dir.path().join("access.log")).unwrap_or_default();
    let all_logged = || {
        paths
            .iter()
            .all(|(_, logged)| log().contains(&format!("GET {logged}\"")))
    };
    until("the log", all_logged).await;
    assert!(!log().contains("s3cret"), "{}", log());
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// A self-signed certificate for localhost, `fullchain.pem`, and its key, `privkey.pem`.
pub(crate) async fn make_certificate(dir: &Path) -> PathBuf {
    let (certificate, key) = (dir.join("fullchain.pem"), dir.join("privkey.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status()
        .await
        .expect("openssl: scripts/bootstrap.sh --tests installs it");
    assert!(made.success());
    certificate
}

/// A main configuration around ours, in which each thing that must differ is replaced. All must be there.
fn configuration_for(dir: &Path, port: u16, upstream: SocketAddr) -> String {
    let here = dir.display();
    let ours = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/nginx.conf"));
    let replaced = [
        ("listen 443 ssl;", format!("listen 127.0.0.1:{port} ssl;")),
        ("    listen [::]:443 ssl;\n", String::new()),
        ("/etc/letsencrypt/live/voice.example.org/", format!("{here}/")),
        ("server_name voice.example.org;", "server_name localhost;".to_owned()),
        ("/var/log/nginx/tieline.log", format!("{here}/access.log")),
        (
            "proxy_pass http://127.0.0.1:8080;",
            format!("proxy_pass http://{upstream};"),
        ),
    ];
    let site = replaced.iter().fold(ours.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "deploy/nginx.conf has no {from:?}");
        text.replace(from, to)
    });
    format!(
        "daemon off;\nmaster_process off;\npid {here}/nginx.pid;\nerror_log {here}/error.log;\n\
         events {{}}\nhttp {{\nclient_body_temp_path {here}/body;\nproxy_temp_path {here}/proxy;\n\
         fastcgi_temp_path {here}/fastcgi;\nuwsgi_temp_path {here}/uwsgi;\nscgi_temp_path {here}/scgi;\n{site}\n}}\n"
    )
}
