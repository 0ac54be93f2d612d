//! The server that is measured, and the plan of a call to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::clips::Clip;
use super::stub_llm::{self, Cadence};
use crate::caller::{Pace, Plan, Target};
use crate::cli::{call, serve};
use crate::config::Config;
use crate::dialog::agent::{self, Agent};
use crate::privacy::egress::Egress;
use crate::store::Store;
use crate::telemetry::logging;
use crate::twilio::signature::Algorithm;

/// A server that runs already, behind its voice webhook.
pub(super) fn elsewhere(config: &Config, url: &str) -> Target {
    Target::Webhook {
        url: url.to_owned(),
        public_url: config
            .server
            .public_url
            .as_ref()
            .filter(|_| call::is_local(url))
            .map(ToString::to_string),
    }
}

/// Starts the server as `tieline serve` would, but on a loopback port, with room for these calls, and with a stub LLM
/// unless the configured one is to be asked.
pub(super) async fn start(config: &Config, stub: Option<Cadence>, calls: usize) -> anyhow::Result<Target> {
    let mut config = config.clone();
    let mut only = None;
    if let Some(cadence) = stub {
        // What is measured is when it speaks; one that leads callers elsewhere would not say what the stub says.
        only = Some(agent::parse(AGENT, "the bench's agent")?);
        config.llm.base_url = Some(stub_llm::start(cadence).await?);
        stub_llm::MODEL.clone_into(&mut config.llm.model);
        config.llm.api_key = None;
    }
    anyhow::ensure!(
        config.llm.base_url.is_some(),
        "--configured-llm: no LLM is configured; set LLM_BASE_URL or LLM_API_KEY"
    );
    let (target, _) = run(config, None, calls, only).await?;
    Ok(target)
}

/// The same with the LLM that is configured or with none, and with a store. Aborting the task stops it.
pub(super) async fn start_with(
    config: &Config,
    store: Option<Store>,
    calls: usize,
) -> anyhow::Result<(Target, JoinHandle<std::io::Result<()>>)> {
    run(config.clone(), store, calls, None).await
}

async fn run(
    mut config: Config,
    store: Option<Store>,
    calls: usize,
    only: Option<Agent>,
) -> anyhow::Result<(Target, JoinHandle<std::io::Result<()>>)> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = TcpListener::bind(any).await.context("no port for the server")?;
    let address = listener.local_addr().context("the listener has no address")?;
    let base = format!("http://{address}");
    config.server.public_url = Some(base.parse().context("the server's own address")?);
    config.server.also_public.clear();
    // The simulated caller signs with the auth token, if there is one.
    config.twilio.signature = Algorithm::Sha1;
    config.twilio.unverified = config.twilio.auth_token.is_none();
    config.server.max_calls = Some(config.server.max_calls.unwrap_or(0).max(calls));
    let egress = Egress::new(config.egress.clone());
    let app = Arc::new(Box::pin(serve::app_of(config, store, egress, only)).await?);
    let serving = serve::spawn(listener, app);
    let target = Target::Webhook {
        url: format!("{base}/voice/incoming"),
        public_url: None,
    };
    Ok((target, serving))
}

pub(super) fn plan(config: &Config, target: Target, said: &[Clip]) -> Plan {
    let twilio = &config.twilio;
    Plan {
        target,
        auth_token: twilio.auth_token.as_ref().map(|token| token.expose().to_owned()),
        account_sid: twilio.account_sid.clone().unwrap_or_else(|| call::ACCOUNT.to_owned()),
        from: CALLER.to_owned(),
        to: twilio.phone_number.clone().unwrap_or_else(|| call::NUMBER.to_owned()),
        turns: said.iter().map(|clip| clip.utterance.clone()).collect(),
        pace: Pace::default(),
    }
}

/// The server's log of each call is no part of the result, unless it was asked for.
pub(super) fn quiet_log(config: &Config) {
    let mut log = config.log.clone();
    if log.filter == "info" {
        "warn".clone_into(&mut log.filter);
    }
    logging::init(&log);
}

#[expect(clippy::disallowed_methods, reason = "a measurement of time")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// A front desk that leads nobody elsewhere and runs no tools.
const AGENT: &str = include_str!("agent.toml");

/// Twilio's own number for tests.
const CALLER: &str = "+15005550006";
