//! A server on a free port, as `tieline serve` builds it, with engines that are told what to do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tempfile::TempDir;
use tieline::call::driver::Services;
use tieline::call::recording::Recordings;
use tieline::call::registry::Registry;
use tieline::call::switchboard::Switchboard;
use tieline::call::voicemail::Mailbox;
use tieline::config::{ApiLimits, Config, Llm, Secret, Strings};
use tieline::dialog::agent::{self, Agents};
use tieline::dialog::conversation::{Mind, Staff};
use tieline::dialog::llm::LlmClient;
use tieline::dialog::slot::Slot;
use tieline::dialog::tool::sms::Texts;
use tieline::engine::{Engine, Sizes};
use tieline::http::{App, Lines, TwilioAccount, Waiting, router};
use tieline::privacy::egress::Egress;
use tieline::speech::spoken::spoken;
use tieline::store::Store;
use tieline::turn::endpoint::{Endpointing, Witnesses};
use tieline::turn::policy::{Policy, Speculation};
use tieline::twilio::{signature, twiml};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use crate::engines::Orders;
use crate::http_server::HttpServer;

/// What a server is started with.
pub(crate) struct Setup {
    pub(crate) auth_token: Option<&'static str>,
    pub(crate) account_sid: Option<&'static str>,
    pub(crate) public_url: Option<&'static str>,
    pub(crate) max_calls: usize,
    pub(crate) policy: Policy,
    pub(crate) llm: Option<String>,
    pub(crate) llm_key: Option<&'static str>,
    pub(crate) workers: usize,
    pub(crate) queue: usize,
    pub(crate) log_transcripts: bool,
    /// What the agent asks callers for.
    pub(crate) expect: Option<Slot>,
    /// Its file, instead of the usual one.
    pub(crate) agent: Option<String>,
    pub(crate) store: Option<Store>,
    pub(crate) lines: Lines,
    pub(crate) api: ApiLimits,
    pub(crate) switchboard: Option<Arc<Switchboard>>,
    pub(crate) texts: Option<Texts>,
    /// Whose requests are taken, instead of those that `auth_token` signs, or of all without one.
    pub(crate) twilio: Option<TwilioAccount>,
    /// More addresses like `public_url`.
    pub(crate) also_public: &'static [&'static str],
    /// Bytes the server sends before the other side must read, if not as many as usual.
    pub(crate) send_buffer: Option<u32>,
    /// Where messages are kept; needs a store.
    pub(crate) voicemail: Option<PathBuf>,
    /// Where calls are recorded; needs a store.
    pub(crate) recordings: Option<PathBuf>,
    /// Where it is today.
    pub(crate) time_zone: TimeZone,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            auth_token: None,
            account_sid: None,
            public_url: None,
            max_calls: 10,
            policy: policy(),
            llm: None,
            llm_key: None,
            workers: 1,
            queue: 8,
            log_transcripts: false,
            expect: None,
            agent: None,
            store: None,
            lines: Lines::default(),
            api: ApiLimits {
                per_key: 100_000,
                per_address: 100_000,
                proxies: Vec::new(),
            },
            switchboard: None,
            texts: None,
            twilio: None,
            also_public: &[],
            send_buffer: None,
            voicemail: None,
            recordings: None,
            time_zone: TimeZone::UTC,
        }
    }
}

/// Deadlines no healthy test reaches, delays that are short, and one transcript for each turn: engines that are told what to
/// do answer in turn. What is prepared early has tests of its own (`speculation`) and the simulator's.
pub(crate) fn policy() -> Policy {
    Policy {
        speculation: Speculation::Off,
        pre_roll: Duration::from_millis(100),
        endpointing: Endpointing {
            min: Duration::from_millis(200),
            delay: Duration::from_millis(200),
            max: Duration::from_millis(200),
            witnesses: Witnesses::Silence,
        },
        silence_prompt: Duration::from_secs(3_600),
        transcribe_deadline: Duration::from_secs(10),
        reply_deadline: Duration::from_secs(10),
        synthesize_deadline: Duration::from_secs(10),
        ..Policy::default()
    }
}

pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) app: Arc<App>,
    pub(crate) stt: Orders,
    pub(crate) tts: Orders,
    pub(crate) http: reqwest::Client,
    /// Who answers new calls.
    pub(crate) staff: watch::Sender<Arc<Staff>>,
    auth_token: Option<&'static str>,
    public_url: Option<&'static str>,
}

impl TestServer {
    pub(crate) async fn start(setup: Setup) -> Self {
        let (stt, tts) = (Orders::new(), Orders::new());
        let (ears, mouths) = (stt.clone(), tts.clone());
        let sizes = Sizes {
            stt_workers: setup.workers,
            tts_workers: setup.workers,
            queue: setup.queue,
        };
        let transcriber = Box::new(move || ears.transcriber());
        let mut engine =
            Engine::start(sizes, transcriber, Box::new(move || mouths.synthesizer())).expect("engines start");
        let file = setup.agent.as_deref().unwrap_or(AGENT);
        let mut agent = agent::parse(file, "test.toml").expect("an agent");
        agent.expect.clone_from(&setup.expect);
        // As at start-up: the fixed phrases are there even when the synthesiser fails later.
        let phrases = [&agent.greeting, &agent.phrases.apology, &agent.phrases.not_heard];
        let phrases = phrases.map(|text| spoken(text));
        let phrases: Vec<(&str, &str)> = phrases.iter().map(|text| (text.as_str(), "en")).collect();
        engine.warm(&phrases).await.expect("engines work");
        let staff = Staff::of(Agents::single(agent), setup.store.clone(), |_| None, &Egress::default())
            .expect("good tools")
            .texting(setup.texts.clone());
        let staff = watch::Sender::new(Arc::new(staff));
        let mailbox = setup.store.clone().zip(setup.voicemail.clone());
        let recordings = setup.store.clone().zip(setup.recordings.clone());
        let services = Services {
            engine: Arc::new(engine),
            mind: Mind::new(
                LlmClient::new(&llm(&setup), &Egress::default()).expect("a client"),
                setup.policy.reply_deadline,
            ),
            staff: staff.subscribe(),
            store: setup.store,
            policy: setup.policy,
            vad_mode: 0,
            silero: None,
            log_transcripts: setup.log_transcripts,
            switchboard: setup.switchboard,
            mailbox: mailbox.map(|(store, dir)| Mailbox::new(dir, store)),
            recordings: recordings.map(|(store, dir)| Recordings::new(dir, store)),
            time_zone: setup.time_zone,
        };
        let twilio = setup.twilio.unwrap_or_else(|| TwilioAccount {
            account_sid: setup.account_sid.map(str::to_owned),
            auth_token: setup.auth_token.map(Secret::new),
            unverified: setup.auth_token.is_none(),
            ..TwilioAccount::default()
        });
        let registry = Arc::new(Registry::new(setup.max_calls));
        let url = |url: &str| url.parse().expect("a URL");
        let app = Arc::new(App {
            public_url: setup.public_url.map(url),
            also_public: setup.also_public.iter().map(|address| url(address)).collect(),
            lines: setup.lines,
            waiting: Waiting::new(Duration::from_millis(50)),
            ..App::new(services, registry, twilio, &setup.api)
        });
        let listener = listener(setup.send_buffer);
        let address = listener.local_addr().expect("an address");
        let service = router(Arc::clone(&app)).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self {
            address,
            app,
            stt,
            tts,
            http: reqwest::Client::new(),
            staff,
            auth_token: setup.auth_token,
            public_url: setup.public_url,
        }
    }

    /// A server with an LLM that answers as told.
    pub(crate) async fn with_llm(setup: Setup) -> (Self, HttpServer) {
        let llm = HttpServer::start().await;
        let server = Self::start(Setup {
            llm: Some(llm.url()),
            ..setup
        })
        .await;
        (server, llm)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How Twilio was told to reach this server.
    pub(crate) fn signed_base(&self) -> String {
        self.public_url.map_or_else(
            || format!("http://{}", self.address),
            |url| url.trim_end_matches('/').to_owned(),
        )
    }

    /// Posts a webhook as Twilio does, signed if the server has a token.
    pub(crate) async fn webhook(&self, path: &str, call_sid: &str) -> (u16, String) {
        self.post(path, &form(call_sid), self.auth_token).await
    }

    /// Posts a form; signed with `token` if there is one.
    pub(crate) async fn post(&self, path: &str, fields: &[(String, String)], token: Option<&str>) -> (u16, String) {
        let mut request = self.http.post(self.url(path)).body(encoded(fields));
        request = request.header("content-type", "application/x-www-form-urlencoded");
        if let Some(token) = token {
            let signed = signature::sign(token, &format!("{}{path}", self.signed_base()), fields);
            request = request.header("x-twilio-signature", signed);
        }
        let answer = soon("the webhook's answer", request.send()).await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.text().await.expect("a text"))
    }

    /// The token of the stream the webhook connects.
    pub(crate) async fn token(&self, call_sid: &str) -> String {
        let (status, body) = self.webhook("/voice/incoming", call_sid).await;
        assert_eq!(status, 200, "{body}");
        token_in(&body)
    }
}

pub(crate) fn token_in(twiml: &str) -> String {
    let stream = twiml::parse_connect_stream(twiml).expect("TwiML that connects a stream");
    stream.parameter("tok").expect("a token").to_owned()
}

/// The fields Twilio posts, as far as anybody reads them.
pub(crate) fn form(call_sid: &str) -> Vec<(String, String)> {
    let fields = [
        ("CallSid", call_sid),
        ("AccountSid", ACCOUNT),
        ("From", FROM),
        ("To", "+15550100200"),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
    ];
    fields.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
}

/// The same with these fields instead of or beside the usual.
pub(crate) fn form_with(call_sid: &str, fields: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut form = form(call_sid);
    form.retain(|(name, _)| !fields.iter().any(|(other, _)| other == name));
    form.extend(
        fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    form
}

/// The form with other borders between its fields, so that the same text is signed: the id has swallowed the field behind it, or it is shorter and
/// its rest has swallowed all of them.
pub(crate) fn with_moved_borders(form: &[(String, String)], id: &str) -> [Vec<(String, String)>; 2] {
    let mut sorted = form.to_vec();
    sorted.sort();
    let at = sorted.iter().position(|(name, _)| name == id).expect("an id");
    let mut longer = sorted.clone();
    let (name, value) = longer.remove(at + 1);
    longer[at].1 += &format!("{name}{value}");
    let (mut shorter, behind) = (sorted[..=at].to_vec(), &sorted[at + 1..]);
    let letter = |c: char| c.is_ascii_lowercase();
    let cut = shorter[at].1.rfind(letter).expect("an id with a letter");
    let mut name = shorter[at].1.split_off(cut);
    name.extend(behind.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]));
    shorter.push((name, String::new()));
    [longer, shorter]
}

pub(crate) fn encoded(fields: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

/// A database of one's own, for as long as the directory lives.
pub(crate) async fn fresh_store() -> (Store, TempDir) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().to_str().expect("UTF-8").to_owned();
    let strings: Strings = [("DATABASE_URL", database(&dir)), ("DATA_DIR", data)]
        .into_iter()
        .collect();
    let config = Config::parse(&strings).expect("valid");
    (Store::open(&config.database).await.expect("a usable database"), dir)
}

/// The bytes of all files in a directory and those in it.
pub(crate) fn bytes_below(dir: &std::path::Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(bytes_below(&path));
        } else {
            all.extend(std::fs::read(&path).unwrap_or_default());
        }
    }
    all
}

/// Its URL.
pub(crate) fn database(dir: &TempDir) -> String {
    format!("sqlite:{}", dir.path().join("tieline.db").display())
}

/// Waits, and fails the test if it takes so long that it must be a hang.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(HANG, future).await {
        Ok(output) => output,
        Err(_) => panic!("still waiting for {what}"),
    }
}

/// Waits until something holds that no message tells.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let poll = async {
        let mut pace = pace(Duration::from_millis(5));
        while !holds() {
            pace.tick().await;
        }
    };
    soon(what, poll).await;
}

/// A beat, for the few things that happen in real time.
pub(crate) fn pace(period: Duration) -> tokio::time::Interval {
    tokio::time::interval(period)
}

/// On a free port.
fn listener(send_buffer: Option<u32>) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    if let Some(bytes) = send_buffer {
        // Connections inherit it.
        socket.set_send_buffer_size(bytes).expect("a size");
    }
    socket
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a free port");
    socket.listen(1_024).expect("a listener")
}

fn llm(setup: &Setup) -> Llm {
    Llm {
        base_url: setup.llm.clone(),
        api_key: setup.llm_key.map(Secret::new),
        model: "fake".to_owned(),
        temperature: 0.0,
        max_tokens: 50,
        redact: false,
    }
}

pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const FROM: &str = "+15550177123";
pub(crate) const AUTH_TOKEN: &str = "2f7c1a90b4e3d6587f0e9a1b2c3d4e5f";
pub(crate) const GREETING: &str = "Hello from the test desk.";
pub(crate) const APOLOGY: &str = "Sorry, that went wrong.";
pub(crate) const NOT_HEARD: &str = "Sorry, I did not catch that.";
const AGENT: &str = r#"
name = "test-desk"
greeting = "Hello from the test desk."
system_prompt = "You are a test."
[phrases]
apology = "Sorry, that went wrong."
"#;
/// Long past everything healthy, also on a busy machine.
const HANG: Duration = Duration::from_secs(15);
