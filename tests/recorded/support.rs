//! A server that holds calls turn by turn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tempfile::TempDir;
use tieline::call::driver::Services;
use tieline::call::recorded::{Patience, Recorder};
use tieline::call::registry::Registry;
use tieline::config::{Config, Secret, Strings};
use tieline::dialog::agent::{Agents, parse};
use tieline::dialog::conversation::{Mind, Staff};
use tieline::engine::{Engine, Sizes};
use tieline::http::{App, TwilioAccount, router};
use tieline::privacy::egress::Egress;
use tieline::speech::spoken::spoken;
use tieline::store::{RecordedCall, Store};
use tieline::turn::policy::Policy;
use tieline::twilio::rest::{RestSettings, TwilioRest};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::engines::Orders;
use crate::exchange::Exchange;

/// What a server is started with.
pub(crate) struct Setup {
    pub(crate) patience: Patience,
    pub(crate) policy: Policy,
    pub(crate) max_calls: usize,
    /// Real models, instead of those that are told what to do.
    pub(crate) engine: Option<Engine>,
    /// Of a server before this one.
    pub(crate) store: Option<Store>,
    /// The agent's file, instead of the one that ships.
    pub(crate) agent: Option<String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            // No answer is given early, unless a test wants one; what is tried again is tried at once.
            patience: Patience {
                soon: Duration::from_secs(3_600),
                hold: Duration::from_secs(3_600),
                fetch: Duration::from_secs(10),
                fetch_pause: Duration::from_millis(1),
                delete_pause: Duration::from_millis(1),
                appears: Duration::from_secs(3_600),
                orphaned: Duration::from_secs(3_600),
                lost: Duration::from_secs(3_600),
            },
            policy: Policy {
                transcribe_deadline: Duration::from_secs(60),
                synthesize_deadline: Duration::from_secs(60),
                ..Policy::default()
            },
            max_calls: 4,
            engine: None,
            store: None,
            agent: None,
        }
    }
}

pub(crate) struct Server {
    base: String,
    pub(crate) app: Arc<App>,
    pub(crate) stt: Orders,
    pub(crate) tts: Orders,
    pub(crate) http: reqwest::Client,
    pub(crate) store: Store,
    _dir: TempDir,
}

impl Server {
    pub(crate) async fn start(exchange: &Exchange, setup: Setup) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite:{}", dir.path().join("tieline.db").display());
        let data = dir.path().to_str().expect("UTF-8");
        let strings: Strings = [("DATABASE_URL", url.as_str()), ("DATA_DIR", data)]
            .into_iter()
            .collect();
        let config = Config::parse(&strings).expect("valid");
        let store = match setup.store {
            Some(store) => store,
            None => Store::open(&config.database).await.expect("a usable database"),
        };
        let (stt, tts) = (Orders::new(), Orders::new());
        let engine = match setup.engine {
            Some(engine) => engine,
            None => scripted(&stt, &tts).await,
        };
        let file = setup.agent.as_deref().unwrap_or(AGENT);
        let agent = parse(file, "agent.toml").expect("a good file");
        let staff =
            Staff::of(Agents::single(agent), Some(store.clone()), |_| None, &Egress::default()).expect("good tools");
        let registry = Arc::new(Registry::new(setup.max_calls));
        let services = Services {
            engine: Arc::new(engine),
            mind: Mind::new(None, setup.policy.reply_deadline),
            staff: watch::Sender::new(Arc::new(staff)).subscribe(),
            store: Some(store.clone()),
            policy: setup.policy,
            vad_mode: 0,
            silero: None,
            log_transcripts: false,
            switchboard: None,
            mailbox: None,
            recordings: None,
            time_zone: TimeZone::UTC,
        };
        let settings = RestSettings {
            account_sid: ACCOUNT.to_owned(),
            user: ACCOUNT.to_owned(),
            password: AUTH_TOKEN.to_owned(),
            url: exchange.url.clone(),
            number: None,
            backoff: Duration::from_millis(1),
            timeout: RestSettings::TIMEOUT,
        };
        let carrier = TwilioRest::new(settings, &Egress::default());
        let carrier = Arc::new(carrier.expect("a client"));
        let recorder = Recorder::new(services.clone(), Arc::clone(&registry), carrier, setup.patience);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let twilio = TwilioAccount {
            account_sid: Some(ACCOUNT.to_owned()),
            auth_token: Some(Secret::new(AUTH_TOKEN)),
            ..TwilioAccount::default()
        };
        let app = Arc::new(App {
            public_url: Some(base.parse().expect("a URL")),
            recorder: Some(Arc::new(recorder)),
            ..App::new(services, registry, twilio, &config.api)
        });
        let service = router(Arc::clone(&app)).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self {
            base,
            app,
            stt,
            tts,
            http: reqwest::Client::new(),
            store,
            _dir: dir,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Waits until nothing is left to delete at the carrier.
    pub(crate) async fn all_deleted(&self) {
        let recorder = self.app.recorder.as_ref().expect("calls are recorded");
        let mut left = recorder.undeleted();
        let gone = left.wait_for(|&left| left == 0);
        soon("the deletions", gone).await.expect("the recorder lives");
    }

    /// What is written of a call once it is over.
    pub(crate) async fn over(&self, call_sid: &str) -> RecordedCall {
        let poll = async {
            let mut pace = tokio::time::interval(Duration::from_millis(5));
            loop {
                let found = self.store.call(call_sid).await.expect("readable");
                if let Some(found) = found.filter(|found| found.call.ended_at.is_some()) {
                    return found;
                }
                pace.tick().await;
            }
        };
        soon("the end in the database", poll).await
    }
}

/// As at start-up: the fixed phrases are there even when the synthesiser fails later.
async fn scripted(stt: &Orders, tts: &Orders) -> Engine {
    let (ears, mouths) = (stt.clone(), tts.clone());
    let sizes = Sizes {
        stt_workers: 1,
        tts_workers: 1,
        queue: 8,
    };
    let ear = Box::new(move || ears.transcriber());
    let mut engine = Engine::start(sizes, ear, Box::new(move || mouths.synthesizer())).expect("engines start");
    let agent = parse(AGENT, "eligibility.toml").expect("the file that ships");
    let phrases = [&agent.phrases.apology, &agent.phrases.not_heard];
    let phrases = phrases.map(|text| spoken(text));
    let phrases: Vec<(&str, &str)> = phrases.iter().map(|text| (text.as_str(), "en")).collect();
    engine.warm(&phrases).await.expect("engines work");
    engine
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
        let mut pace = tokio::time::interval(Duration::from_millis(5));
        while !holds() {
            pace.tick().await;
        }
    };
    soon(what, poll).await;
}

pub(crate) const AGENT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/agents/eligibility.toml"));
pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const FROM: &str = "+15550177123";
pub(crate) const TO: &str = "+15550100200";
pub(crate) const AUTH_TOKEN: &str = "2f7c1a90b4e3d6587f0e9a1b2c3d4e5f";
/// Long past everything healthy, also on a busy machine.
const HANG: Duration = Duration::from_secs(60);
