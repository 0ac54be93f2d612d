//! A telephone company of two streets: one caller, who does what the `TwiML` says, and the API that keeps their recordings.

use std::collections::{HashMap, VecDeque};
use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tieline::audio::wav::{self, Recording};
use tieline::time::SampleRate;
use tieline::twilio::signature;

use crate::support::{ACCOUNT, AUTH_TOKEN, FROM, Server, TO, soon};

/// The API.
#[derive(Clone, Default)]
pub(crate) struct Exchange {
    pub(crate) url: String,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    recordings: HashMap<String, Vec<u8>>,
    /// How the next requests are answered; 200 is as usual.
    fetching: VecDeque<u16>,
    deleting: VecDeque<u16>,
    fetched: Vec<String>,
    deleted: Vec<String>,
    /// Requests for anything else.
    strange: Vec<String>,
    count: usize,
}

impl Exchange {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let exchange = Self { url, ..Self::default() };
        let strange = |State(exchange): State<Self>, uri: Uri| async move {
            exchange.lock().strange.push(uri.to_string());
            StatusCode::NOT_FOUND
        };
        let router = Router::new()
            .route(
                "/2010-04-01/Accounts/{account}/Recordings/{file}",
                get(fetch).delete(delete),
            )
            .fallback(strange)
            .with_state(exchange.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        exchange
    }

    /// The next answers to whoever fetches and deletes.
    pub(crate) fn answer(&self, fetching: &[u16], deleting: &[u16]) {
        let mut kept = self.lock();
        kept.fetching.extend(fetching);
        kept.deleting.extend(deleting);
    }

    /// How many deletions are still to fail.
    pub(crate) fn refusals_left(&self) -> usize {
        self.lock().deleting.len()
    }

    pub(crate) fn keep(&self, wav: Vec<u8>) -> String {
        let mut kept = self.lock();
        kept.count += 1;
        let sid = format!("RE{:032x}", kept.count);
        kept.recordings.insert(sid.clone(), wav);
        sid
    }

    pub(crate) fn fetched(&self) -> Vec<String> {
        self.lock().fetched.clone()
    }

    pub(crate) fn deleted(&self) -> Vec<String> {
        self.lock().deleted.clone()
    }

    /// All that was recorded is deleted, each once, and nothing else was asked for.
    pub(crate) fn is_clean(&self) {
        let kept = self.lock();
        assert_eq!(kept.strange, Vec::<String>::new(), "nothing else was asked for");
        assert_eq!(kept.recordings.len(), 0, "nothing stays with the carrier");
        assert_eq!(kept.deleted.len(), kept.count, "each was deleted once");
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no panic under the lock")
    }
}

fn authorized(headers: &HeaderMap, account: &str) -> bool {
    let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("{ACCOUNT}:{AUTH_TOKEN}")));
    account == ACCOUNT && headers.get("authorization").is_some_and(|given| *given == *expected)
}

async fn fetch(
    State(exchange): State<Exchange>,
    Path((account, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> (StatusCode, Vec<u8>) {
    let mut kept = exchange.lock();
    let status = kept.fetching.pop_front().unwrap_or(200);
    kept.fetched.push(file.clone());
    let wav = file.strip_suffix(".wav").and_then(|sid| kept.recordings.get(sid));
    match (status, authorized(&headers, &account), wav) {
        (200, true, Some(wav)) => (StatusCode::OK, wav.clone()),
        (200, false, _) => (StatusCode::UNAUTHORIZED, Vec::new()),
        (200, true, None) => (StatusCode::NOT_FOUND, Vec::new()),
        (status, ..) => (StatusCode::from_u16(status).expect("a status"), b"{}".to_vec()),
    }
}

async fn delete(
    State(exchange): State<Exchange>,
    Path((account, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> StatusCode {
    let mut kept = exchange.lock();
    let status = kept.deleting.pop_front().unwrap_or(200);
    if status != 200 || !authorized(&headers, &account) {
        return StatusCode::from_u16(status.max(401)).expect("a status");
    }
    let sid = file.strip_suffix(".json").unwrap_or_default().to_owned();
    let gone = kept.recordings.remove(&sid).is_some();
    kept.deleted.push(sid);
    if gone {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::NOT_FOUND
    }
}

/// Where the caller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    /// Has the floor: the recording's `action`, and what follows on silence.
    Recorded { action: String, silence: String },
    /// Types: the same.
    Typing { action: String, silence: String },
    /// The call is over.
    Over,
}

/// The caller, and what the carrier does for them.
pub(crate) struct Caller<'a> {
    server: &'a Server,
    exchange: &'a Exchange,
    pub(crate) call_sid: String,
    pub(crate) at: At,
    /// What was played, at the line's rate.
    pub(crate) played: Vec<Vec<f32>>,
    /// Where it came from.
    pub(crate) clips: Vec<String>,
    /// How often the caller was made to wait.
    pub(crate) pauses: Arc<AtomicUsize>,
    /// What was posted last, and what came back.
    pub(crate) last: (String, Vec<(String, String)>),
    pub(crate) answer: String,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(server: &'a Server, exchange: &'a Exchange, call_sid: &str) -> Self {
        Self {
            server,
            exchange,
            call_sid: call_sid.to_owned(),
            at: At::Over,
            played: Vec::new(),
            clips: Vec::new(),
            pauses: Arc::default(),
            last: Default::default(),
            answer: String::new(),
        }
    }

    /// Dials, and listens to the greeting.
    pub(crate) async fn rings(server: &'a Server, exchange: &'a Exchange, call_sid: &str) -> Self {
        let mut caller = Self::new(server, exchange, call_sid);
        let url = server.url("/voice/incoming");
        caller.go_to(&url, &[]).await;
        caller
    }

    /// Says something, so that the carrier records it.
    pub(crate) async fn says(&mut self, wav: Vec<u8>) {
        let fields = self.recorded(wav, "");
        let At::Recorded { action, .. } = self.at.clone() else {
            panic!("the caller has not the floor: {:?}", self.at)
        };
        self.go_to(&action, &fields).await;
    }

    /// Says nothing.
    pub(crate) async fn is_silent(&mut self) {
        let (At::Recorded { silence, .. } | At::Typing { silence, .. }) = self.at.clone() else {
            panic!("the call is over")
        };
        self.go_to(&silence, &[]).await;
    }

    /// Types, the first key while the carrier records.
    pub(crate) async fn types(&mut self, keys: &str) {
        let (first, rest) = keys.split_at(1);
        let fields = self.recorded(speech(100), first);
        let At::Recorded { action, .. } = self.at.clone() else {
            panic!("the caller has not the floor: {:?}", self.at)
        };
        self.go_to(&action, &fields).await;
        let At::Typing { action, .. } = self.at.clone() else {
            panic!("the carrier gathers no keys: {:?}", self.at)
        };
        self.go_to(&action, &[("Digits", rest)].map(owned)).await;
    }

    /// What Twilio posts of a recording. Its URL leads astray.
    pub(crate) fn recorded(&self, wav: Vec<u8>, keys: &str) -> Vec<(String, String)> {
        let sid = self.exchange.keep(wav);
        let trap = format!("{}/trap/{sid}", self.exchange.url);
        let fields = [
            ("RecordingSid", sid.as_str()),
            ("RecordingUrl", &trap),
            ("RecordingDuration", "2"),
            ("Digits", keys),
        ];
        fields.map(owned).to_vec()
    }

    /// Posts, and does what the answer says until the caller has the floor.
    pub(crate) async fn go_to(&mut self, url: &str, fields: &[(String, String)]) {
        let mut next = Some((url.to_owned(), fields.to_vec()));
        while let Some((url, fields)) = next.take() {
            let (status, document) = self.post(&url, &fields).await;
            assert_eq!(status, 200, "{document}");
            self.answer.clone_from(&document);
            next = self.follow(&document).await.map(|url| (url, Vec::new()));
        }
    }

    /// Posts a webhook of this call, signed.
    pub(crate) async fn post(&mut self, url: &str, extra: &[(String, String)]) -> (u16, String) {
        let mut fields = self.fields();
        fields.retain(|(name, _)| extra.iter().all(|(other, _)| other != name));
        fields.extend_from_slice(extra);
        self.last = (url.to_owned(), extra.to_vec());
        self.server.post(url, &fields, Some(AUTH_TOKEN)).await
    }

    fn fields(&self) -> Vec<(String, String)> {
        let fields = [
            ("CallSid", self.call_sid.as_str()),
            ("AccountSid", ACCOUNT),
            ("From", FROM),
            ("To", TO),
            ("CallStatus", "in-progress"),
            ("Direction", "inbound"),
        ];
        fields.map(owned).to_vec()
    }

    /// Does what a document says; `Some` is where it leads.
    async fn follow(&mut self, document: &str) -> Option<String> {
        for (name, attribute, text, fall_through) in verbs(document) {
            match name.as_str() {
                "Play" => self.play(&text).await,
                "Pause" => {
                    self.pauses.fetch_add(1, Ordering::SeqCst);
                }
                "Redirect" => return Some(text),
                "Record" => {
                    self.at = At::Recorded {
                        action: attribute,
                        silence: fall_through,
                    };
                    return None;
                }
                "Gather" => {
                    self.at = At::Typing {
                        action: attribute,
                        silence: fall_through,
                    };
                    return None;
                }
                "Hangup" | "Reject" => {
                    self.at = At::Over;
                    return None;
                }
                other => panic!("an unexpected verb {other} in {document}"),
            }
        }
        panic!("{document} leads nowhere")
    }

    async fn play(&mut self, url: &str) {
        let answer = soon("the audio", self.server.http.get(url).send())
            .await
            .expect("an answer");
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["cache-control"]),
            (200, &"no-store".parse().expect("a value"))
        );
        assert_eq!(answer.headers()["content-type"], "audio/wav");
        let bytes = answer.bytes().await.expect("a body");
        let recording = Recording::read(&bytes[..]).expect("a WAV");
        assert_eq!(recording.rate, SampleRate::LINE);
        self.played.push(recording.samples);
        self.clips.push(url.to_owned());
    }
}

/// The verbs: name, `action`, text, and the text of the verb after it.
fn verbs(document: &str) -> Vec<(String, String, String, String)> {
    let document = roxmltree::Document::parse(document).expect("XML");
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "Response");
    let text = |node: Option<roxmltree::Node<'_, '_>>| node.and_then(|node| node.text()).unwrap_or_default().to_owned();
    let verbs = root.children().filter(roxmltree::Node::is_element);
    verbs
        .map(|verb| {
            let action = verb.attribute("action").unwrap_or_default().to_owned();
            let name = verb.tag_name().name().to_owned();
            (name, action, text(Some(verb)), text(verb.next_sibling_element()))
        })
        .collect()
}

pub(crate) fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Somebody's voice, as far as a detector of voices can tell, as the carrier records it.
pub(crate) fn speech(ms: usize) -> Vec<u8> {
    let samples = (0..ms * 8).map(|n| {
        let time = n as f32 / 8_000.0;
        let pitch = 130.0 + 20.0 * (time * 11.0).sin();
        let buzz: f32 = (1..=12)
            .map(|k| (std::f32::consts::TAU * pitch * k as f32 * time).sin() / k as f32)
            .sum();
        buzz * (0.7 + 0.3 * (time * 25.0).sin()) * 0.18
    });
    written(&samples.collect::<Vec<_>>(), SampleRate::LINE)
}

pub(crate) fn written(samples: &[f32], rate: SampleRate) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    wav::write_mono(&mut file, samples, rate).expect("written");
    file.into_inner()
}

/// Posts a form as Twilio does, signed with `token` if there is one.
impl Server {
    pub(crate) async fn post(&self, url: &str, fields: &[(String, String)], token: Option<&str>) -> (u16, String) {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let mut request = self.http.post(url).body(body);
        request = request.header("content-type", "application/x-www-form-urlencoded");
        if let Some(token) = token {
            request = request.header("x-twilio-signature", signature::sign(token, url, fields));
        }
        let answer = soon("the webhook's answer", request.send()).await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    }
}
