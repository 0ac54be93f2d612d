//! Pulls from a Hugging Face of our own on the loopback.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::models::locate::{hex, locate};
use crate::models::manifest::Purpose;

const BODY: &[u8] = b"the quick brown fox jumps over the lazy dog";

/// What the server does for one path.
#[derive(Clone, Copy)]
enum Answer {
    /// The body, or the asked-for part of it.
    Body(&'static [u8]),
    /// The body without heeding ranges.
    WholeBody(&'static [u8]),
    /// Announces everything and hangs up after that many bytes.
    BrokenAfter(usize),
    NotFound,
}

struct Server {
    endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answer: fn(&str) -> Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(socket.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap().to_lowercase();
                let path = head.split(' ').nth(1).unwrap().to_owned();
                let range = head
                    .lines()
                    .find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-'));
                log.lock().unwrap().push(format!("{path} {}", range.unwrap_or("all")));
                socket.write_all(&response(answer(&path), range)).await.unwrap();
                socket.shutdown().await.unwrap();
            }
        });
        Self { endpoint, requests }
    }

    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

fn response(answer: Answer, range: Option<&str>) -> Vec<u8> {
    let from: usize = range.map_or(0, |range| range.parse().unwrap());
    let (status, extra, length, body) = match answer {
        Answer::NotFound => ("404 Not Found", String::new(), 0, &b""[..]),
        Answer::BrokenAfter(bytes) => ("200 OK", String::new(), BODY.len(), &BODY[..bytes]),
        Answer::Body(body) if from > 0 => {
            let range = format!("content-range: bytes {from}-{}/{}\r\n", body.len() - 1, body.len());
            ("206 Partial Content", range, body.len() - from, &body[from..])
        }
        Answer::Body(body) | Answer::WholeBody(body) => ("200 OK", String::new(), body.len(), body),
    };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{extra}connection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn sha256(bytes: &[u8]) -> String {
    hex(&<sha2::Sha256 as sha2::Digest>::digest(bytes))
}

/// One model `m` with a pinned source per path.
fn manifest(paths: &[&str]) -> Manifest {
    let mut text = "[[model]]\nname = 'm'\npurpose = 'stt'\nfile = 'm.bin'\n".to_owned();
    for path in paths {
        let (bytes, hash) = (BODY.len(), sha256(BODY));
        text += &format!("[[model.source]]\nhf = 'a/b/{path}@v1'\nbytes = {bytes}\nsha256 = '{hash}'\n");
    }
    Manifest::parse(&text, Path::new("test.toml")).unwrap()
}

/// Pulls `m` and returns the result with all events but the byte counts.
async fn run(manifest: &Manifest, dir: &Path, endpoint: &str) -> (Result<(), PullError>, Vec<PullEvent>) {
    let events = Mutex::new(Vec::new());
    let result = pull(manifest, dir, &["m".to_owned()], endpoint, &|event| {
        events.lock().unwrap().push(event);
    })
    .await;
    let mut events = events.into_inner().unwrap();
    events.retain(|event| !matches!(event, PullEvent::Advanced { .. } | PullEvent::Ended));
    (result, events)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn installed() -> PullEvent {
    PullEvent::Installed {
        file: "m.bin".to_owned(),
        sha256: sha256(BODY),
        pinned: true,
    }
}

#[tokio::test]
async fn a_pull_installs_the_file_and_a_second_one_only_verifies_it() {
    let server = Server::start(|_| Answer::Body(BODY)).await;
    let dir = tempfile::tempdir().unwrap();
    let manifest = manifest(&["m.bin"]);
    let (result, events) = run(&manifest, dir.path(), &server.endpoint).await;
    result.unwrap();
    assert_eq!(events.last(), Some(&installed()));
    assert_eq!(server.requests(), ["/a/b/resolve/v1/m.bin all"]);
    assert_eq!(
        locate(&manifest, dir.path(), "m", Purpose::Stt).unwrap().path(),
        dir.path().join("m.bin")
    );

    let (result, events) = run(&manifest, dir.path(), &server.endpoint).await;
    result.unwrap();
    assert_eq!(
        events,
        [PullEvent::Verified {
            file: "m.bin".to_owned()
        }]
    );
    assert_eq!(server.requests(), Vec::<String>::new());
    assert_eq!(names(dir.path()), ["m.bin"]);
}

#[tokio::test]
async fn a_corrupt_file_is_pulled_again() {
    let server = Server::start(|_| Answer::Body(BODY)).await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("m.bin"), b"The quick brown fox jumps over the lazy dog").unwrap();
    let (result, events) = run(&manifest(&["m.bin"]), dir.path(), &server.endpoint).await;
    result.unwrap();
    assert_eq!(events.last(), Some(&installed()));
    assert_eq!(std::fs::read(dir.path().join("m.bin")).unwrap(), BODY);
}

#[tokio::test]
async fn a_broken_transfer_is_resumed_where_it_ended() {
    let server = Server::start(|path| match path {
        "/a/b/resolve/v1/broken.bin" => Answer::BrokenAfter(10),
        _ => Answer::Body(BODY),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (result, _) = run(&manifest(&["broken.bin"]), dir.path(), &server.endpoint).await;
    assert!(result.unwrap_err().to_string().contains("the connection broke: "));
    assert_eq!(names(dir.path()), ["m.bin.part"]);

    let (result, events) = run(&manifest(&["m.bin"]), dir.path(), &server.endpoint).await;
    result.unwrap();
    let resumed = PullEvent::Started {
        file: "m.bin".to_owned(),
        done: 10,
        total: Some(BODY.len() as u64),
    };
    assert_eq!(events, [resumed, installed()]);
    assert_eq!(
        server.requests(),
        ["/a/b/resolve/v1/broken.bin all", "/a/b/resolve/v1/m.bin 10"]
    );
    assert_eq!(names(dir.path()), ["m.bin"]);
}

#[tokio::test]
async fn a_server_that_ignores_ranges_starts_over() {
    let server = Server::start(|_| Answer::WholeBody(BODY)).await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("m.bin.part"), b"the quick").unwrap();
    run(&manifest(&["m.bin"]), dir.path(), &server.endpoint)
        .await
        .0
        .unwrap();
    assert_eq!(server.requests(), ["/a/b/resolve/v1/m.bin 9"]);
    assert_eq!(std::fs::read(dir.path().join("m.bin")).unwrap(), BODY);
}

#[tokio::test]
async fn a_bad_checksum_moves_on_to_the_next_source() {
    let server = Server::start(|path| match path {
        "/a/b/resolve/v1/bad.bin" => Answer::Body(b"the quick brown fox jumps over the lazy cat"),
        _ => Answer::Body(BODY),
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (result, events) = run(&manifest(&["bad.bin", "m.bin"]), dir.path(), &server.endpoint).await;
    result.unwrap();
    let PullEvent::SourceFailed { source, reason, .. } = &events[1] else {
        panic!("{events:?}")
    };
    assert_eq!(source, "hf a/b/bad.bin@v1");
    assert!(
        reason.starts_with(&format!("m.bin has a bad checksum: expected sha256 {}", sha256(BODY))),
        "{reason}"
    );
    assert_eq!(events.last(), Some(&installed()));
    let requests = server.requests();
    assert_eq!(
        requests[1], "/a/b/resolve/v1/m.bin all",
        "the bad part is gone, not resumed"
    );
}

#[tokio::test]
async fn when_every_source_fails_the_error_lists_what_each_said() {
    let server = Server::start(|path| match path {
        "/a/b/resolve/v1/long.bin" => Answer::Body(b"the quick brown fox jumps over the lazy dog, twice"),
        _ => Answer::NotFound,
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (result, _) = run(&manifest(&["none.bin", "long.bin"]), dir.path(), &server.endpoint).await;
    assert_eq!(
        result.unwrap_err().to_string(),
        "model `m` could not be pulled:\n  hf a/b/none.bin@v1: answered 404 Not Found\n  \
         hf a/b/long.bin@v1: m.bin is larger than the 43 bytes it may have"
    );
    assert_eq!(names(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_model_without_a_hash_is_taken_on_first_use_and_its_hash_is_told() {
    let server = Server::start(|_| Answer::Body(BODY)).await;
    let dir = tempfile::tempdir().unwrap();
    let text = "[[model]]\nname = 'm'\npurpose = 'tts'\nhf = 'a/b/v.onnx'\n";
    let manifest = Manifest::parse(text, Path::new("test.toml")).unwrap();
    std::fs::write(dir.path().join("v.onnx.part"), b"something else").unwrap();
    let (result, events) = run(&manifest, dir.path(), &server.endpoint).await;
    result.unwrap();
    let event = PullEvent::Installed {
        file: "v.onnx".to_owned(),
        sha256: sha256(BODY),
        pinned: false,
    };
    assert!(events.contains(&event), "{events:?}");
    assert_eq!(
        server.requests(),
        ["/a/b/resolve/main/v.onnx all", "/a/b/resolve/main/v.onnx.json all"]
    );
    assert_eq!(names(dir.path()), ["v.onnx", "v.onnx.json"]);
}

#[tokio::test]
async fn two_pulls_at_once_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _running = lock(dir.path()).unwrap();
    let (result, _) = run(&manifest(&["m.bin"]), dir.path(), "http://127.0.0.1:9").await;
    assert!(matches!(result, Err(PullError::Busy(_))));
}

#[tokio::test]
async fn an_unreachable_server_is_one_short_line_and_tried_once() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (result, _) = run(&manifest(&["m.bin"]), dir.path(), &endpoint).await;
    let text = result.unwrap_err().to_string();
    assert!(
        text.contains("hf a/b/m.bin@v1: cannot be reached: Connection refused"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 2, "{text}");
}
