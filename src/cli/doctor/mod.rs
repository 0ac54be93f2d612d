//! `tieline doctor`: everything a newcomer gets wrong, looked at on one page, each with its remedy.
//!
//! Each topic has a file: what is looked up is one function, what is thought of it another, which is tested without the
//! first. Nothing is changed but, with `--fix`, the webhooks of the number. No secret and no whole number is shown.

mod agents;
mod carrier;
mod clock;
mod database;
mod egress;
mod llm;
mod models;
mod page;
mod port;
mod public;
mod settings;
mod system;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tokio::task::JoinHandle;

use crate::cli::local_key;
use crate::config::{Config, ConfigError, Strings, gather};
use crate::dialog::agent::Agents;
use crate::http::tls::{self, Certificate};
use crate::http::{Identity, stand_in};
use crate::privacy::egress::Egress;
use crate::store::Store;
use page::Page;
use port::Port;
use public::{Key, Seen};

/// Check the whole set-up, and say what to do about what is wrong.
///
/// Exit code 0 if nothing is wrong (there may be things to look at), else 1.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Check the models' checksums, load them and run them; takes some seconds
    #[arg(long)]
    full: bool,
    /// Set the webhooks of our number at Twilio to our public address, where they differ
    #[arg(long, conflicts_with = "offline")]
    fix: bool,
    /// Contact no other machine: leave out the LLM, the public address and Twilio
    #[arg(long)]
    offline: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Print only which machines the server can reach, and why; exit code 1 if it would not start because of one
    #[arg(long, conflicts_with_all = ["full", "fix", "offline"])]
    egress: bool,
}

/// Looks at everything, and prints it.
///
/// # Errors
///
/// Standard output is closed.
pub(super) async fn run(
    args: &DoctorArgs,
    env_file: &Path,
    environment: impl Iterator<Item = (String, String)>,
) -> anyhow::Result<ExitCode> {
    let (strings, broken) = read(env_file, environment.collect());
    if args.egress {
        return reachable(&strings, broken, args.json).await;
    }
    let mut page = Page::new(args.json);
    page.add(broken.iter().map(settings::fault));
    let (config, faults) = Config::read(&strings);
    if broken.is_none() || !faults.is_empty() {
        page.add(settings::judge(&strings, &faults));
    }
    page.add(settings::oddities(&config, &strings));
    let file = settings::EnvFile::look(env_file, &strings);
    page.add([settings::judge_file(env_file, &file)]);
    let guides = here(&mut page, &config, args).await;
    let certificate = config.server.tls.clone().map(Certificate::read);
    page.add(certificate.iter().map(port::judge_certificate));
    let certificate = certificate.and_then(Result::ok);
    let port = port::look(config.server.bind, config.server.tls.is_some()).await;
    page.add([port::judge(config.server.bind, &port)]);
    if let Some(bind) = config.lines.audiosocket {
        page.add([port::look_at_pbx(bind, &port).await]);
    }
    if !args.offline {
        others(&mut page, &config, args, guides, (port, certificate)).await;
    }
    Ok(if page.close()? {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The table of `--egress`. Settings that are wrong would tell of other machines than the server's.
async fn reachable(strings: &Strings, broken: Option<ConfigError>, json: bool) -> anyhow::Result<ExitCode> {
    if let Some(fault) = broken {
        anyhow::bail!("{fault}");
    }
    let config =
        Config::parse(strings).map_err(|errors| anyhow::anyhow!("the configuration cannot be used:\n{errors}"))?;
    let staff = agents::read(&config)?;
    Ok(if egress::table(&config, Some(&staff.agents), json).await? {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The settings; without the file if that cannot be read.
fn read(env_file: &Path, environment: Vec<(String, String)>) -> (Strings, Option<ConfigError>) {
    match gather(environment.clone().into_iter(), Some(env_file)) {
        Ok(strings) => (strings, None),
        Err(fault) => (gather(environment.into_iter(), None).unwrap_or_default(), Some(fault)),
    }
}

/// What is on this machine. Tells whether the agent guides callers by itself.
async fn here(page: &mut Page, config: &Config, args: &DoctorArgs) -> bool {
    let staff = agents::read(config);
    page.add(agents::judge(config, &staff));
    let agents = staff.as_ref().ok().map(|staff| &*staff.agents);
    page.add(models::check(config, agents, args.full).await);
    page.add(system::libraries(config));
    let dir = &config.server.data_dir;
    page.add([system::judge_room(dir, system::room(dir))]);
    page.add([database::judge(
        &config.database,
        Store::examine_within(&config.database, &Egress::new(config.egress.clone())).await,
    )]);
    page.add(egress::judge(config, agents, args.offline).await);
    agents.is_none_or(|agents| Agents::default(agents).guides())
}

/// What is on others.
async fn others(
    page: &mut Page,
    config: &Config,
    args: &DoctorArgs,
    guides: bool,
    (port, certificate): (Port, Option<Arc<Certificate>>),
) {
    let egress = Egress::new(config.egress.clone());
    let asked = llm::ask(&config.llm, config.turn.policy.reply_deadline, &egress).await;
    page.add([llm::judge(&config.llm, guides, &asked)]);
    let seen = look_at_addresses(config, port, certificate).await;
    page.add(public::judge(config, &seen));
    let mut dated = None;
    match carrier::Api::new(&config.twilio) {
        None => page.add([carrier::not_configured(&config.twilio)]),
        Some(mut api) => {
            let described = config.describe();
            let masked = described.iter().find(|(key, _)| *key == "TWILIO_PHONE_NUMBER");
            let masked = masked.map_or("", |(_, shown)| shown.as_str());
            carrier::check(page, &mut api, config, masked, args.fix).await;
            dated = api.dated;
        }
    }
    let dated = dated.or_else(|| seen.into_iter().find_map(|seen| seen.dated));
    page.add([clock::judge(dated.as_ref())]);
}

/// Asks the public addresses. Where no server runs yet, one stands in for it; where another program has the port, nobody is asked.
async fn look_at_addresses(config: &Config, port: Port, certificate: Option<Arc<Certificate>>) -> Vec<Seen> {
    let (identity, server): (Identity, Option<JoinHandle<_>>) = match port {
        Port::Running(identity) => (identity, None),
        Port::Free(listener) => {
            let identity = Identity::random();
            let service = stand_in(identity.clone());
            let server = match certificate {
                None => tokio::spawn(async move { axum::serve(listener, service).await }),
                Some(certificate) => match tls::spawn(listener, service, certificate) {
                    Ok(server) => server,
                    Err(_) => return Vec::new(),
                },
            };
            (identity, Some(server))
        }
        Port::Taken | Port::Refused(_) => return Vec::new(),
    };
    let local_key = local_key::existing(config);
    let key = Key {
        algorithm: config.twilio.signature,
        secret: config.twilio.signing_keys().0.or(local_key.as_ref()),
    };
    let mut seen = Vec::new();
    for url in public::addresses(config) {
        seen.push(public::look(url, &key, &identity).await);
    }
    if let Some(server) = server {
        server.abort();
    }
    seen
}
