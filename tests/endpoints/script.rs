//! An HTTP server that answers each connection with the next script, byte by byte as told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What to answer, each part written on its own.
#[derive(Clone)]
pub(crate) struct Answer {
    parts: Vec<Vec<u8>>,
    then: Then,
}

#[derive(Clone)]
enum Then {
    Close,
    Reset,
    Hold,
    Repeat(Vec<u8>),
}

impl Answer {
    /// A status line with headers, and a body up to the end of the connection.
    pub(crate) fn new(status: u16, headers: &str, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 {status} Told\r\n{headers}Connection: close\r\n\r\n");
        Self {
            parts: vec![head.into_bytes(), body.to_vec()],
            then: Then::Close,
        }
    }

    /// JSON with its length.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let body = body.to_string();
        let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        Self::new(status, &headers, body.as_bytes())
    }

    /// A stream of events.
    pub(crate) fn stream(body: &str) -> Self {
        Self::new(200, "Content-Type: text/event-stream\r\n", body.as_bytes())
    }

    /// The same in other parts.
    pub(crate) fn cut(mut self, sizes: &[usize]) -> Self {
        let body = self.parts.pop().expect("a body");
        let mut rest = body.as_slice();
        for &size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (part, after) = rest.split_at(size.clamp(1, rest.len()));
            self.parts.push(part.to_vec());
            rest = after;
        }
        self
    }

    pub(crate) fn then_reset(self) -> Self {
        Self {
            then: Then::Reset,
            ..self
        }
    }

    pub(crate) fn then_hold(self) -> Self {
        Self {
            then: Then::Hold,
            ..self
        }
    }

    pub(crate) fn then_repeat(self, bytes: &str) -> Self {
        Self {
            then: Then::Repeat(bytes.as_bytes().to_vec()),
            ..self
        }
    }

    /// The connection ends without a word.
    pub(crate) fn hang_up() -> Self {
        Self {
            parts: Vec::new(),
            then: Then::Close,
        }
    }

    /// Not even a status line.
    pub(crate) fn silence() -> Self {
        Self {
            parts: Vec::new(),
            then: Then::Hold,
        }
    }
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    /// Lower-case names.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    always: Arc<Mutex<Option<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    arrived: mpsc::Receiver<()>,
}

impl Server {
    /// Without an answer left, it answers 599.
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let (arrived_tx, arrived) = mpsc::channel(1_000);
        let server = Self {
            address: listener.local_addr().expect("an address"),
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            always: Arc::default(),
            asked: Arc::default(),
            arrived,
        };
        let (answers, asked) = (Arc::clone(&server.answers), Arc::clone(&server.asked));
        let always = Arc::clone(&server.always);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answers, asked, arrived) = (Arc::clone(&answers), Arc::clone(&asked), arrived_tx.clone());
                let always = Arc::clone(&always);
                tokio::spawn(async move {
                    let Some(request) = read(&mut stream).await else { return };
                    asked.lock().expect("no panic under the lock").push(request);
                    let next = answers.lock().expect("no panic under the lock").pop_front();
                    // Only tests that care read this.
                    let _ = arrived.try_send(());
                    let next = next.or_else(|| always.lock().expect("no panic under the lock").clone());
                    write(&mut stream, next.unwrap_or_else(|| Answer::json(599, &json!({})))).await;
                });
            }
        });
        server
    }

    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().expect("no panic under the lock").extend(answers);
    }

    /// Instead of those that are left.
    pub(crate) fn only(&self, answers: impl IntoIterator<Item = Answer>) {
        let mut queue = self.answers.lock().expect("no panic under the lock");
        *queue = answers.into_iter().collect();
    }

    /// When no other answer is left.
    pub(crate) fn answer_always(&self, answer: Answer) {
        *self.always.lock().expect("no panic under the lock") = Some(answer);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic under the lock").clone()
    }

    /// Waits for the next request.
    pub(crate) async fn arrival(&mut self) {
        soon(self.arrived.recv()).await.expect("the server runs");
    }
}

/// Waits, and fails the test if it takes so long that it must be a hang.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(HANG, future).await.expect("still waiting")
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(key, value)| (key.to_lowercase(), value.to_owned()))
        .collect();
    let mut body = bytes.split_off(head + 4);
    let length = headers.iter().find(|(key, _)| key == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().expect("a number"));
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Asked {
        method,
        path,
        headers,
        body: String::from_utf8(body).expect("text"),
    })
}

/// The other side may leave in the middle, which is what some tests are about.
async fn write(stream: &mut TcpStream, answer: Answer) {
    let _ = stream.set_nodelay(true);
    for part in answer.parts {
        let _ = stream.write_all(&part).await;
        // So that the other side reads before the next part is there.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }
    match answer.then {
        Then::Close => {
            let _ = stream.shutdown().await;
        }
        Then::Reset => {
            let _ = stream.set_zero_linger();
        }
        Then::Hold => while stream.read_buf(&mut Vec::new()).await.is_ok_and(|count| count > 0) {},
        Then::Repeat(bytes) => while stream.write_all(&bytes).await.is_ok() {},
    }
}

/// Long past everything healthy, also on a busy machine.
const HANG: Duration = Duration::from_secs(60);
