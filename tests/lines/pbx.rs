//! Asterisk's part of an AudioSocket connection, and whole calls over it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tieline::audio::mulaw;
use tieline::call::audiosocket::{self, Callers};
use tieline::config::{Config, Strings};
use tieline::store::{RecordedCall, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpSocket, TcpStream};

use crate::engines::Order;
use crate::http_server::{HttpServer, tokens};
use crate::phone::{silence, voice};
use crate::support::{Setup, TestServer, pace, soon, until};

/// A server that a PBX can connect to.
pub(crate) struct Office {
    pub(crate) server: TestServer,
    pub(crate) llm: HttpServer,
    pub(crate) store: Store,
    pub(crate) address: SocketAddr,
    _dir: TempDir,
}

impl Office {
    pub(crate) async fn open(setup: Setup, callers: Callers) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite:{}", dir.path().join("tieline.db").display());
        let data = dir.path().to_str().expect("UTF-8");
        let strings: Strings = [("DATABASE_URL", url.as_str()), ("SEED_DATA", "off"), ("DATA_DIR", data)]
            .into_iter()
            .collect();
        let config = Config::parse(&strings).expect("valid");
        let store = Store::open(&config.database).await.expect("a usable database");
        let (server, llm) = TestServer::with_llm(Setup {
            store: Some(store.clone()),
            ..setup
        })
        .await;
        let socket = TcpSocket::new_v4().expect("a socket");
        // So that a PBX that does not read is noticed after little audio.
        socket.set_send_buffer_size(2_048).expect("a small buffer");
        socket
            .bind("127.0.0.1:0".parse().expect("an address"))
            .expect("a free port");
        let listener = socket.listen(16).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let (services, registry) = (server.app.services.clone(), Arc::clone(&server.app.registry));
        tokio::spawn(audiosocket::serve(listener, services, registry, callers));
        Self {
            server,
            llm,
            store,
            address,
            _dir: dir,
        }
    }

    /// What is written of the newest call, as soon as it is so.
    pub(crate) async fn recorded(&self, what: &str, so: impl Fn(&RecordedCall) -> bool) -> RecordedCall {
        let poll = async {
            let mut pace = pace(Duration::from_millis(10));
            loop {
                pace.tick().await;
                let Some(call) = self.store.recent_calls(1).await.expect("readable").pop() else {
                    continue;
                };
                let call = self
                    .store
                    .call(&call.call_sid)
                    .await
                    .expect("readable")
                    .expect("just seen");
                if so(&call) {
                    return call;
                }
            }
        };
        soon(what, poll).await
    }

    /// What of the answer to these words was heard, and how the turn ended.
    async fn answered(&self, said: &str) -> (String, String) {
        let call = self
            .recorded(said, |call| call.turns.iter().any(|turn| turn.said == said))
            .await;
        let turn = call
            .turns
            .into_iter()
            .find(|turn| turn.said == said)
            .expect("just seen");
        (turn.heard, turn.outcome)
    }

    pub(crate) async fn greeted(&self) {
        self.recorded("the greeting", |call| !call.turns.is_empty()).await;
    }

    pub(crate) async fn ended(&self) -> String {
        let call = self.recorded("the end", |call| call.call.ended_at.is_some()).await;
        call.call.outcome.unwrap_or_default()
    }
}

/// One connection of the PBX.
pub(crate) struct Pbx {
    writer: OwnedWriteHalf,
    seen: Arc<Mutex<Seen>>,
}

/// What came back.
#[derive(Default)]
struct Seen {
    frames: usize,
    hung_up: bool,
    closed: bool,
}

impl Pbx {
    /// Connects and says nothing yet.
    pub(crate) async fn dial(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (mut reader, writer) = stream.into_split();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            let mut head = [0; 3];
            let mut payload = Vec::new();
            while reader.read_exact(&mut head).await.is_ok() {
                payload.resize(usize::from(u16::from_be_bytes([head[1], head[2]])), 0);
                if reader.read_exact(&mut payload).await.is_err() {
                    break;
                }
                let mut seen = shared.lock().expect("no panic under the lock");
                match (head[0], payload.len()) {
                    (0x10, 320) if !seen.hung_up => seen.frames += 1,
                    (0x00, 0) => seen.hung_up = true,
                    (kind, length) => panic!("a frame of type {kind:#x} and {length} bytes"),
                }
            }
            shared.lock().expect("no panic under the lock").closed = true;
        });
        Self { writer, seen }
    }

    /// Connects with a UUID.
    pub(crate) async fn call(address: SocketAddr, uuid: [u8; 16]) -> Self {
        let mut pbx = Self::dial(address).await;
        pbx.frame(0x01, &uuid).await;
        pbx
    }

    /// A failure to send shows as an end later.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        let _ = soon("sending", self.writer.write_all(bytes)).await;
    }

    pub(crate) async fn frame(&mut self, kind: u8, payload: &[u8]) {
        self.raw(&frame(kind, payload)).await;
    }

    /// Caller audio frame by frame, all at once.
    pub(crate) async fn speak(&mut self, audio: &[u8]) {
        for piece in audio.chunks(160) {
            self.frame(0x10, &linear(piece)).await;
        }
    }

    pub(crate) async fn say(&mut self) {
        self.speak(&[voice(400), silence(600)].concat()).await;
    }

    /// Frames of audio so far.
    pub(crate) fn frames(&self) -> usize {
        self.seen.lock().expect("no panic under the lock").frames
    }

    /// Waits until the server has hung up and closed; whether it said so.
    pub(crate) async fn over(&self) -> bool {
        until("the end of the connection", || {
            self.seen.lock().expect("no panic under the lock").closed
        })
        .await;
        self.seen.lock().expect("no panic under the lock").hung_up
    }
}

pub(crate) fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("short").to_be_bytes();
    [&[kind], length.as_slice(), payload].concat()
}

pub(crate) fn linear(audio: &[u8]) -> Vec<u8> {
    audio
        .iter()
        .flat_map(|&code| mulaw::decode(code).to_le_bytes())
        .collect()
}

#[tokio::test]
async fn a_pbx_holds_a_call() {
    let office = Office::open(Setup::default(), Callers::default()).await;
    office.llm.answer([
        tokens(&["We open at nine."]),
        tokens(&["And close at five."]),
        tokens(&["Here comes a very long story."]),
        tokens(&["Fine."]),
    ]);
    let (stt, tts) = (&office.server.stt, &office.server.tts);
    stt.hear(&[
        "when do you open",
        "and when do you close",
        "tell me more",
        "stop please",
    ]);
    let mut pbx = Pbx::call(office.address, *b"0123456789abcdef").await;
    office.greeted().await;
    for (said, heard) in [
        ("when do you open", "We open at nine."),
        ("and when do you close", "And close at five."),
    ] {
        pbx.say().await;
        assert_eq!(office.answered(said).await, (heard.to_owned(), "completed".to_owned()));
    }
    assert!(pbx.frames() >= 3 * 8, "{} frames", pbx.frames());

    // An answer of five seconds is interrupted: the rest of it is not sent.
    tts.give([Order::Tone(Duration::from_secs(5))]);
    let before = pbx.frames();
    pbx.say().await;
    until("the story", || pbx.frames() > before + 10).await;
    pbx.speak(&voice(400)).await;
    pbx.speak(&silence(600)).await;
    let (heard, outcome) = office.answered("tell me more").await;
    assert_eq!(outcome, "interrupted");
    assert!(heard.len() < "Here comes a very long story.".len(), "{heard}");
    assert_eq!(office.answered("stop please").await.0, "Fine.");
    let after = pbx.frames() - before;
    assert!(after < 200, "{after} frames of 250 and an answer");

    for key in b"739#" {
        pbx.frame(0x03, &[*key]).await;
    }
    let keyed = |call: &RecordedCall| call.turns.iter().any(|turn| turn.said.contains("739"));
    office.recorded("the keys", keyed).await;
    pbx.frame(0x00, &[]).await;
    pbx.over().await;
    assert_eq!(office.ended().await, "caller");
    assert_eq!(office.server.app.registry.live(), 0);
}

#[tokio::test]
async fn audio_is_at_most_three_frames_ahead_of_the_ear() {
    let office = Office::open(Setup::default(), Callers::default()).await;
    office.llm.answer([tokens(&["One long sentence."])]);
    let mut pbx = Pbx::call(office.address, [1; 16]).await;
    office.greeted().await;
    office.server.tts.give([Order::Tone(Duration::from_millis(1_000))]);
    let before = pbx.frames();
    // Earlier than the first audio, so a slow machine only makes the bound wider.
    let asked = now();
    pbx.say().await;
    until("the answer", || pbx.frames() >= before + 50).await;
    let (sent, took) = (pbx.frames() - before, asked.elapsed());
    assert!(sent as u128 <= took.as_millis() / 20 + 3, "{sent} frames in {took:?}");
    // Its mark came back: it was heard to the end.
    let turn = office.answered(crate::engines::USUAL).await;
    assert_eq!(turn, ("One long sentence.".to_owned(), "completed".to_owned()));
}

#[tokio::test]
async fn the_server_hangs_up_in_words() {
    let office = Office::open(Setup::default(), Callers::default()).await;
    let pbx = Pbx::call(office.address, [2; 16]).await;
    office.greeted().await;
    office.server.app.registry.stop_all();
    assert!(pbx.over().await, "no hangup frame");
    assert_eq!(office.ended().await, "shutdown");
}

#[expect(clippy::disallowed_methods, reason = "the bound is one of real time")]
fn now() -> Instant {
    Instant::now()
}
