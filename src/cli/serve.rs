//! `tieline serve`: takes calls until it is told to stop, then finishes them.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::call::audiosocket::{self, Callers};
use crate::call::drain::{Grace, LAST_WORDS, drain};
use crate::call::driver::Services;
use crate::call::recorded::{Patience, Recorder};
use crate::call::recording::Recordings;
use crate::call::registry::Registry;
use crate::call::switchboard::Switchboard;
use crate::call::voicemail::Mailbox;
use crate::cli::{agents, destinations, engines, local_key, operator};
use crate::config::{Config, Strings, Transport};
use crate::dialog::agent::Agent;
use crate::dialog::conversation::{Mind, Staff};
use crate::dialog::llm::LlmClient;
use crate::dialog::tool::sms::Texts;
use crate::http::tls::{self, Certificate};
use crate::http::{App, Lines, TwilioAccount, router};
use crate::privacy::egress::Egress;
use crate::retention::Keeper;
use crate::store::{Start, Store};
use crate::telemetry::logging;
use crate::twilio::rest::TwilioRest;

pub(super) async fn run(config: Config, strings: &Strings) -> anyhow::Result<ExitCode> {
    logging::init(&config.log);
    announce(&config);
    let grace = Grace {
        calls: config.server.shutdown_grace,
        last_words: LAST_WORDS,
    };
    // Before anything connects anywhere.
    let egress = Egress::new(config.egress.clone());
    destinations::admit(&egress, destinations::all(&config, None)).await?;
    let certificate = config.server.tls.clone().map(Certificate::read).transpose()?;
    // Before the models are loaded: a port in use is known at once.
    let bind = config.server.bind;
    let listener = TcpListener::bind(bind).await.with_context(|| {
        format!("BIND {bind} cannot be listened on; stop what uses it or set BIND to another address")
    })?;
    let pbx = pbx(&config).await?;
    let store = Store::open_within(&config.database, &egress).await?;
    note_start(&store, strings).await?;
    if let Some(file) = config.audit.anchor_file.clone() {
        tokio::spawn(store.clone().keep_anchors(file));
    }
    if let Some(refusals) = egress.refusals() {
        tokio::spawn(store.clone().audit_refusals(refusals));
    }
    let local_key = local_key::of(&config);
    let keeper = Keeper::new(store.clone(), &config.server, config.retention.clone());
    let mut app = app(config, Some(store.clone()), egress).await?;
    if app.twilio.auth_token.is_none() && !app.twilio.unverified {
        app.twilio.other_key = app.twilio.other_key.or(local_key);
    }
    let app = Arc::new(app);
    let (registry, recorder) = (Arc::clone(&app.registry), app.recorder.clone());
    if let Some(mailbox) = app.services.mailbox.clone() {
        mailbox
            .seal_plain_files()
            .await
            .context("voicemail files of an earlier version cannot be encrypted")?;
        tokio::spawn(mailbox.catch_up(Arc::clone(&app.services.engine)));
    }
    let keeping = tokio::spawn(keeper.run());
    let address = listener.local_addr().context("the listener has no address")?;
    let pbx = pbx.map(|(listener, callers)| {
        let (services, registry) = (app.services.clone(), Arc::clone(&registry));
        tokio::spawn(audiosocket::serve(listener, services, registry, callers))
    });
    let scheme = if certificate.is_some() { "https" } else { "http" };
    let mut server = match certificate {
        None => spawn(listener, app),
        Some(certificate) => {
            tokio::spawn(Arc::clone(&certificate).follow());
            tls::spawn(listener, router(app), certificate).context("TLS cannot be set up")?
        }
    };
    writeln!(std::io::stdout(), "ready {scheme}://{address}").context("standard output is closed")?;
    tokio::select! {
        ended = &mut server => {
            ended.context("the server panicked")?.context("the server failed")?;
        }
        () = stop_signal()? => drain(&registry, grace).await,
    }
    server.abort();
    keeping.abort();
    if let Some(pbx) = pbx {
        pbx.abort();
    }
    if let Some(recorder) = recorder {
        recorder.finish(LAST_DELETIONS).await;
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Writes down that this server starts, and which of its settings have changed.
async fn note_start(store: &Store, strings: &Strings) -> anyhow::Result<()> {
    let set = strings
        .keys()
        .filter_map(|(name, _)| Some((name, strings.get(name)?.0)));
    let settings: Vec<(&str, &str)> = set.collect();
    let start = Start {
        node: &operator::node(),
        version: env!("CARGO_PKG_VERSION"),
        settings: &settings,
    };
    let changed = store
        .note_start(&start)
        .await
        .context("the start cannot be written into the audit trail")?;
    if !changed.is_empty() {
        tracing::info!("settings that were others at the last start: {}", changed.join(" "));
    }
    Ok(())
}

/// Where a PBX connects, if it may.
async fn pbx(config: &Config) -> anyhow::Result<Option<(TcpListener, Callers)>> {
    let Some(bind) = config.lines.audiosocket else {
        return Ok(None);
    };
    let listener = TcpListener::bind(bind).await.with_context(|| {
        format!("AUDIOSOCKET_BIND {bind} cannot be listened on; stop what uses it or set another one")
    })?;
    if config.lines.audiosocket_uuids.0.is_empty() {
        tracing::warn!("AUDIOSOCKET_UUIDS is not set: whoever can connect to {bind} may call");
    }
    let callers = Callers {
        known: config.lines.audiosocket_uuids.0.clone(),
        number: config.lines.audiosocket_number.clone(),
    };
    Ok(Some((listener, callers)))
}

/// Answers what comes to the listener until the task is aborted.
pub(super) fn spawn(listener: TcpListener, app: Arc<App>) -> JoinHandle<std::io::Result<()>> {
    let service = router(app).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await })
}

/// Everything a server needs: engines loaded and warm. Without a store nothing is looked up or written down.
pub(super) async fn app(config: Config, store: Option<Store>, egress: Egress) -> anyhow::Result<App> {
    app_of(config, store, egress, None).await
}

/// The same, with one agent instead of those in files.
pub(super) async fn app_of(
    config: Config,
    store: Option<Store>,
    egress: Egress,
    only: Option<Agent>,
) -> anyhow::Result<App> {
    let switchboard = switchboard(&config, store.clone(), &egress)?;
    let files = agents::Files {
        dir: config.server.agents_dir.clone(),
        default: config.agent.clone(),
        store: store.clone(),
        texts: switchboard
            .as_ref()
            .zip(store.clone())
            .and_then(|(switchboard, store)| Texts::new(Arc::clone(switchboard.carrier()), store, &config.outbound)),
        egress: egress.clone(),
        only,
    };
    let seen = files.stamps();
    let staff = files.load()?;
    destinations::admit(&egress, destinations::tools(&staff.agents)).await?;
    let mind = Mind::new(LlmClient::new(&config.llm, &egress)?, config.turn.policy.reply_deadline);
    let engine = engines::start(&config, &staff.agents, &egress).await?;
    let engine = Arc::new(engine);
    if mind.llm.is_none() {
        // The guided dialog asks the same questions in every call.
        let (engine, sentences) = (Arc::clone(&engine), engines::frequent(&staff.agents));
        tokio::spawn(async move { engine.prepare(sentences).await });
    }
    let silero = engines::silero(&config)?;
    let recordings = recordings(&config, store.as_ref(), &staff)?;
    let mailbox = store
        .clone()
        .map(|store| Mailbox::new(config.server.data_dir.join("voicemail"), store));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let max_calls = config.server.max_calls.unwrap_or(CALLS_PER_CORE * cores);
    let (auth_token, other_key) = config.twilio.signing_keys();
    let twilio = TwilioAccount {
        auth_token: auth_token.cloned(),
        other_key: other_key.cloned(),
        account_sid: config.twilio.account_sid.clone(),
        algorithm: config.twilio.signature,
        unverified: config.twilio.unverified,
    };
    let services = Services {
        engine: Arc::clone(&engine),
        mind,
        staff: agents::watch(files, seen, staff, engine),
        store,
        policy: config.turn.policy,
        vad_mode: config.turn.vad_mode,
        silero,
        log_transcripts: config.log.transcripts,
        switchboard,
        mailbox,
        recordings,
        time_zone: config.outbound.time_zone,
    };
    let registry = Arc::new(Registry::new(max_calls));
    let recorder = recorder(config.twilio.transport, &services, &registry);
    let lines = Lines {
        signalwire: config.lines.signalwire,
        telnyx: config.lines.telnyx,
        plivo: config.lines.plivo,
        exotel: config.lines.exotel,
    };
    Ok(App {
        public_url: config.server.public_url,
        egress,
        also_public: config.server.also_public,
        lines,
        recorder,
        ..App::new(services, registry, twilio, &config.api)
    })
}

/// Who holds calls turn by turn, if they are to be held so.
fn recorder(transport: Transport, services: &Services, registry: &Arc<Registry>) -> Option<Arc<Recorder>> {
    match transport {
        Transport::Stream => None,
        Transport::Record => {
            // The configuration was refused without the credentials it takes.
            let carrier = Arc::clone(services.switchboard.as_ref()?.carrier());
            let (services, registry) = (services.clone(), Arc::clone(registry));
            Some(Arc::new(Recorder::new(
                services,
                registry,
                carrier,
                Patience::default(),
            )))
        }
    }
}

/// Where calls are recorded, if they are to be. Which of them are not is told.
fn recordings(config: &Config, store: Option<&Store>, staff: &Staff) -> anyhow::Result<Option<Recordings>> {
    let Some(store) = store.filter(|_| config.server.recording) else {
        return Ok(None);
    };
    let unrecorded: Vec<&str> = staff
        .agents
        .iter()
        .filter_map(|agent| agent.recording.is_none().then_some(agent.name.as_str()))
        .collect();
    anyhow::ensure!(
        unrecorded.len() < staff.agents.iter().count(),
        "RECORDING is on and no agent's file has [recording], which says so to callers: write one (docs/guide/recording.md), or set RECORDING=off"
    );
    if !unrecorded.is_empty() {
        let agents = unrecorded.join(", ");
        tracing::warn!(
            "RECORDING is on, and calls that these agents answer are not recorded, as their files have no [recording]: {agents}"
        );
    }
    let dir = &config.server.recordings_dir;
    let recordings = Recordings::new(dir.clone(), store.clone());
    let place = dir.display();
    recordings.prepare().with_context(|| {
        format!("RECORDINGS_DIR {place} cannot be written to; make it writable for this user or set another one")
    })?;
    Ok(Some(recordings))
}

/// What hands calls over and places them, where Twilio's API and this server's address are known.
fn switchboard(config: &Config, store: Option<Store>, egress: &Egress) -> anyhow::Result<Option<Arc<Switchboard>>> {
    let (Some(rest), Some(url)) = (config.twilio.rest(), &config.server.public_url) else {
        return Ok(None);
    };
    let carrier = TwilioRest::new(rest, egress).context("the client of Twilio's API cannot be set up")?;
    let base = url.as_str().trim_end_matches('/').to_owned();
    let (rules, number) = (config.outbound.clone(), config.twilio.phone_number.clone());
    Ok(Some(Arc::new(Switchboard::new(
        Arc::new(carrier),
        store,
        rules,
        base,
        number,
    ))))
}

/// Completes on SIGTERM or Ctrl-C.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn announce(config: &Config) {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        "tieline {} starts",
        env!("CARGO_PKG_VERSION")
    );
    for (key, value) in config.describe() {
        tracing::info!("{key} = {value}");
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if config.llm.base_url.is_none() {
        tracing::info!("no LLM endpoint is configured: the guided dialog of the agent's file answers");
    }
    if config.twilio.unverified {
        tracing::warn!("TWILIO_VERIFY is off: webhooks are not verified. Do not expose this server");
    } else if config.twilio.signing_keys().0.is_none() {
        tracing::warn!("TWILIO_AUTH_TOKEN is not set: only `tieline call` on this machine gets through, not Twilio");
    }
}

/// Calls at once when `MAX_CALLS` is not set.
const CALLS_PER_CORE: usize = 4;
/// How long recordings that are still at the carrier may take to be deleted before the process ends.
const LAST_DELETIONS: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Strings;
    use crate::dialog::agent::{Agents, parse};

    fn staff(tables: &str) -> Staff {
        let text = format!("name = \"desk\"\ngreeting = \"Hello.\"\nsystem_prompt = \"Be brief.\"\n{tables}");
        let agents = Agents::single(parse(&text, "desk.toml").expect("a good file"));
        Staff::of(agents, None, |_| None, &Egress::default()).expect("no tools")
    }

    #[tokio::test]
    async fn calls_are_recorded_only_where_callers_are_told_and_there_is_a_place() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let data = dir.path().to_str().expect("UTF-8");
        let config = |recording: &str, recordings: &str| {
            let pairs = [
                ("DATA_DIR", data),
                ("RECORDING", recording),
                ("RECORDINGS_DIR", recordings),
            ];
            let strings: Strings = pairs.into_iter().collect();
            Config::parse(&strings).expect("valid")
        };
        let good = dir.path().join("recordings");
        let good = good.to_str().expect("UTF-8");
        let store = Store::open(&config("off", good).database)
            .await
            .expect("a usable database");
        let told = staff("[recording]\nnotice = \"This call is recorded.\"\n");
        let asked = |on: &str, dir: &str, staff: &Staff| recordings(&config(on, dir), Some(&store), staff);
        assert!(asked("off", good, &told).expect("off").is_none());
        assert!(asked("on", good, &told).expect("on").is_some());
        let error = asked("on", good, &staff("")).expect_err("refused").to_string();
        assert!(error.contains("no agent's file has [recording]"), "{error}");
        // A file is where the folder should be.
        let taken = dir.path().join("tieline.db/recordings");
        let error = asked("on", taken.to_str().expect("UTF-8"), &told)
            .expect_err("refused")
            .to_string();
        assert!(
            error.contains("RECORDINGS_DIR") && error.contains("cannot be written to"),
            "{error}"
        );
    }
}
