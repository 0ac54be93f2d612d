//! A small HTTP server that answers what it is told to, down to broken connections.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::support::soon;

/// How to answer one POST.
#[derive(Clone)]
pub(crate) enum Answer {
    /// A streamed chat completion with these tokens.
    Tokens(Vec<String>),
    /// These tokens, then nothing more on an open connection. Without tokens, not even a status line.
    Stall(Vec<String>),
    /// These tokens, then the connection breaks.
    Reset(Vec<String>),
    /// This token again and again.
    Endless(String),
    /// A status, a content type and a body.
    Full(u16, &'static str, Vec<u8>),
    /// Server-sent events with these data lines.
    Events(Vec<String>),
    /// This, once it is let go.
    Held(watch::Receiver<bool>, Box<Self>),
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Lower-case names.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// The server; GET is answered with 200 or what [`HttpServer::answer_get`] says, POST with the next answer or the usual.
pub(crate) struct HttpServer {
    pub(crate) address: SocketAddr,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    usual: Arc<Mutex<Answer>>,
    get_status: Arc<Mutex<u16>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    arrived: mpsc::Receiver<()>,
    gone: mpsc::Receiver<()>,
}

impl HttpServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (arrived_tx, arrived) = mpsc::channel(1_000);
        let (gone_tx, gone) = mpsc::channel(1_000);
        let server = Self {
            address,
            answers: Arc::default(),
            usual: Arc::new(Mutex::new(tokens(&[USUAL]))),
            get_status: Arc::new(Mutex::new(200)),
            asked: Arc::default(),
            arrived,
            gone,
        };
        let (answers, usual, get_status, asked) = (
            Arc::clone(&server.answers),
            Arc::clone(&server.usual),
            Arc::clone(&server.get_status),
            Arc::clone(&server.asked),
        );
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answers, usual, get_status, asked) =
                    (answers.clone(), usual.clone(), get_status.clone(), asked.clone());
                let (arrived, gone) = (arrived_tx.clone(), gone_tx.clone());
                tokio::spawn(async move {
                    let Some(request) = read(&mut stream).await else { return };
                    let answer = if request.method == "GET" {
                        let status = *get_status.lock().expect("no panic under the lock");
                        Answer::Full(status, "application/json", b"{}".to_vec())
                    } else {
                        asked.lock().expect("no panic under the lock").push(request);
                        let next = answers.lock().expect("no panic under the lock").pop_front();
                        // Only tests that care read this.
                        let _ = arrived.try_send(());
                        next.unwrap_or_else(|| usual.lock().expect("no panic under the lock").clone())
                    };
                    write(&mut stream, answer).await;
                    let _ = gone.try_send(());
                });
            }
        });
        server
    }

    /// Base URL of the API.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().expect("no panic under the lock").extend(answers);
    }

    /// What is answered when nothing else was ordered.
    pub(crate) fn answer_always(&self, answer: Answer) {
        *self.usual.lock().expect("no panic under the lock") = answer;
    }

    pub(crate) fn answer_get(&self, status: u16) {
        *self.get_status.lock().expect("no panic under the lock") = status;
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic under the lock").clone()
    }

    /// Waits for the next POST.
    pub(crate) async fn arrival(&mut self) {
        soon("a request", self.arrived.recv()).await.expect("the server runs");
    }

    /// Waits until an answer was given to its end, or the other side has left.
    pub(crate) async fn departure(&mut self) {
        soon("the end of a connection", self.gone.recv())
            .await
            .expect("the server runs");
    }
}

/// A whole reply.
pub(crate) fn tokens(tokens: &[&str]) -> Answer {
    Answer::Tokens(owned(tokens))
}

pub(crate) fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// One chunk of a streamed completion, as JSON.
pub(crate) fn chunk(token: &str) -> String {
    json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "fake",
           "choices": [{"index": 0, "delta": {"role": "assistant", "content": token}, "finish_reason": null}]})
    .to_string()
}

/// One request.
pub(crate) async fn read(stream: &mut TcpStream) -> Option<Asked> {
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
    let mut request = Asked {
        method,
        path,
        headers,
        body: bytes.split_off(head + 4),
    };
    let length: usize = request
        .header("content-length")
        .map_or(0, |value| value.parse().expect("a number"));
    assert!(
        request.header("transfer-encoding").is_none(),
        "this server reads no chunked bodies"
    );
    while request.body.len() < length {
        if stream.read_buf(&mut request.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(request)
}

async fn write(stream: &mut TcpStream, mut answer: Answer) {
    while let Answer::Held(mut let_go, held) = answer {
        // An error means that the test is over.
        let _ = let_go.wait_for(|&let_go| let_go).await;
        answer = *held;
    }
    match answer {
        Answer::Held(..) => {}
        Answer::Full(status, kind, body) => {
            let head = format!(
                "HTTP/1.1 {status} Told\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            // The other side may leave in the middle, which is what some tests are about.
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body).await;
        }
        Answer::Tokens(tokens) => {
            let _ = begin(stream, &tokens).await;
            let _ = event(stream, "[DONE]").await;
            let _ = stream.write_all(b"0\r\n\r\n").await;
        }
        Answer::Events(events) => {
            let _ = begin(stream, &[]).await;
            for data in events {
                let _ = event(stream, &data).await;
            }
            let _ = stream.write_all(b"0\r\n\r\n").await;
        }
        Answer::Stall(tokens) => {
            if !tokens.is_empty() {
                let _ = begin(stream, &tokens).await;
            }
            while stream.read_buf(&mut Vec::new()).await.is_ok_and(|count| count > 0) {}
        }
        Answer::Reset(tokens) => {
            let _ = begin(stream, &tokens).await;
            let _ = stream.set_zero_linger();
        }
        Answer::Endless(token) => {
            let _ = begin(stream, &[]).await;
            while event(stream, &chunk(&token)).await.is_ok() {}
        }
    }
}

async fn begin(stream: &mut TcpStream, tokens: &[String]) -> std::io::Result<()> {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    for token in tokens {
        event(stream, &chunk(token)).await?;
    }
    Ok(())
}

async fn event(stream: &mut TcpStream, data: &str) -> std::io::Result<()> {
    let event = format!("data: {data}\n\n");
    let framed = format!("{:x}\r\n{event}\r\n", event.len());
    stream.write_all(framed.as_bytes()).await
}

/// The reply unless told otherwise.
pub(crate) const USUAL: &str = "We are open nine to five.";
