//! Twilio's REST API, as far as it is asked: it keeps every request, and fails as told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::json;
use tieline::privacy::egress::Egress;
use tieline::twilio::rest::{RestSettings, TwilioRest};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::http_server::{Asked, read};
use crate::support::{ACCOUNT, soon};

/// How one request goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// An answer with a status and a code of Twilio's, and nothing is done.
    Status(u16, u32),
    /// It is done, and the connection breaks before the answer.
    DoneAndCut,
    /// It is done, and the answer says that it failed.
    DoneAnd(u16),
    /// The list of calls does not have the newest yet.
    Late,
    /// Nothing is done, and the connection breaks.
    Cut,
    /// Nothing is done, and no answer comes.
    Silence,
    /// An answer that is no JSON.
    Garbage,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    faults: VecDeque<Fault>,
    /// What was placed: sid, from, to, and when in RFC 2822.
    calls: Vec<[String; 4]>,
    recording: Vec<u8>,
}

pub(crate) struct Twilio {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    arrived: mpsc::Receiver<Asked>,
}

impl Twilio {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State::default()));
        let (told, arrived) = mpsc::channel(1_000);
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (state, told) = (Arc::clone(&shared), told.clone());
                tokio::spawn(async move {
                    let Some(asked) = read(&mut stream).await else { return };
                    answer(&mut stream, &state, &asked).await;
                    // Only tests that care read this.
                    let _ = told.try_send(asked);
                });
            }
        });
        Self {
            address,
            state,
            arrived,
        }
    }

    /// A client of it that waits a millisecond where it would wait longer.
    pub(crate) fn client(&self) -> TwilioRest {
        self.client_with(Duration::from_secs(10))
    }

    pub(crate) fn client_with(&self, timeout: Duration) -> TwilioRest {
        let settings = RestSettings {
            account_sid: ACCOUNT.to_owned(),
            user: KEY.to_owned(),
            password: SECRET.to_owned(),
            url: format!("http://{}", self.address),
            number: Some(OUR_NUMBER.to_owned()),
            backoff: Duration::from_millis(1),
            timeout,
        };
        TwilioRest::new(settings, &Egress::default()).expect("a client")
    }

    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults);
    }

    /// A call that was placed at some time by somebody.
    pub(crate) fn placed_before(&self, from: &str, to: &str, created: &str) {
        let call = ["CAold", from, to, created].map(str::to_owned);
        self.state().calls.push(call);
    }

    pub(crate) fn record(&self, audio: Vec<u8>) {
        self.state().recording = audio;
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// The next request, once it is answered.
    pub(crate) async fn arrival(&mut self) -> Asked {
        soon("a request to Twilio", self.arrived.recv())
            .await
            .expect("the server runs")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }
}

/// A field of a form that was posted.
pub(crate) fn field(asked: &Asked, name: &str) -> Option<String> {
    let found = form_urlencoded::parse(&asked.body).find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned())
}

async fn answer(stream: &mut TcpStream, state: &Mutex<State>, asked: &Asked) {
    let (fault, (status, body)) = {
        let mut state = state.lock().expect("no panic under the lock");
        state.asked.push(asked.clone());
        let fault = state.faults.pop_front();
        let done = match fault {
            None | Some(Fault::DoneAndCut) => carry_out(&mut state, asked),
            Some(Fault::DoneAnd(status)) => {
                carry_out(&mut state, asked);
                (status, b"<html>".to_vec())
            }
            Some(Fault::Late) => (200, br#"{"calls": []}"#.to_vec()),
            Some(Fault::Status(status, code)) => {
                let why = json!({"code": code, "message": "no: +15550177123", "status": status});
                (status, why.to_string().into_bytes())
            }
            Some(Fault::Garbage) => (201, b"<html>".to_vec()),
            Some(Fault::Cut | Fault::Silence) => (0, Vec::new()),
        };
        (fault, done)
    };
    match fault {
        Some(Fault::DoneAndCut | Fault::Cut) => {
            let _ = stream.set_zero_linger();
        }
        Some(Fault::Silence) => {
            // Until the other side has had enough.
            let _ = read(stream).await;
        }
        Some(Fault::Status(..) | Fault::DoneAnd(_) | Fault::Late | Fault::Garbage) | None => {
            let head = format!(
                "HTTP/1.1 {status} Told\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            // The other side may have left.
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body).await;
        }
    }
}

fn carry_out(state: &mut State, asked: &Asked) -> (u16, Vec<u8>) {
    let (path, _) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let Some(rest) = path.strip_prefix(&format!("/2010-04-01/Accounts/{ACCOUNT}/")) else {
        return (404, b"{}".to_vec());
    };
    let answer = match (asked.method.as_str(), rest) {
        ("POST", "Calls.json") => {
            let sid = format!("CA{:032x}", state.calls.len() + 1);
            let now = jiff::fmt::rfc2822::to_string(&jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC));
            let [from, to] = ["From", "To"].map(|name| field(asked, name).unwrap_or_default());
            state.calls.push([sid.clone(), from, to, now.expect("a date")]);
            json!({ "sid": sid, "status": "queued" })
        }
        ("GET", "Calls.json") => {
            let calls = state.calls.iter().map(|[sid, from, to, created]| {
                json!({"sid": sid, "from": from, "to": to, "date_created": created, "direction": "outbound-api"})
            });
            json!({ "calls": calls.collect::<Vec<_>>() })
        }
        ("POST", "Messages.json") => json!({ "sid": format!("SM{:032x}", 1), "status": "queued" }),
        ("POST", _) => json!({ "sid": "x" }),
        ("GET", _) if rest.ends_with(".wav") => return (200, state.recording.clone()),
        ("DELETE", _) => return (204, Vec::new()),
        _ => return (404, br#"{"code": 20404}"#.to_vec()),
    };
    (201, answer.to_string().into_bytes())
}

pub(crate) const KEY: &str = "SK0123456789abcdef0123456789abcdef";
pub(crate) const SECRET: &str = "s3cret-of-the-key";
pub(crate) const OUR_NUMBER: &str = "+15550100200";
