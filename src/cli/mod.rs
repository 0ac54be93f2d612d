//! The commands. The only module that prints.

mod agents;
mod audit;
mod bench;
mod call;
mod data;
mod destinations;
mod doctor;
mod engines;
mod keeping;
mod keys;
mod local_key;
mod models;
mod operator;
mod serve;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::config::{Config, Strings, gather};
use crate::privacy::egress::Egress;
use crate::telemetry::logging;

/// A self-hosted phone voice agent: local Whisper and Piper, your own LLM endpoint.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub struct Cli {
    /// Settings file; the environment wins over it.
    #[arg(long, default_value = ".env", global = true)]
    env_file: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take calls.
    Serve,
    /// Place a simulated call, as Twilio would.
    Call(Box<call::CallArgs>),
    /// Measure on this machine.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Import customers and coverage; look whether all records and the audit trail are whole; delete, hold, export, back up.
    Data(data::DataArgs),
    /// Make, list and revoke keys of the management API; change the key that records are encrypted with.
    Keys(keys::KeysArgs),
    /// List, fetch and check model files.
    Models(models::ModelsArgs),
    /// Check the whole set-up: settings, models, database, LLM, public address, Twilio.
    Doctor(doctor::DoctorArgs),
}

/// Runs one command to its exit code.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    if let Command::Doctor(args) = &cli.command {
        // It looks at settings that are wrong, too.
        return runtime.block_on(doctor::run(args, &cli.env_file, environment()));
    }
    let (mut config, strings) = load(&cli.env_file)?;
    match cli.command {
        Command::Doctor(_) => unreachable!("invariant: returned above"),
        Command::Serve => runtime.block_on(serve::run(config, &strings)),
        Command::Call(args) => {
            sign_as_local(&mut config);
            let twilio = &config.twilio;
            // A certificate is for a name, and that is in PUBLIC_URL.
            let public = config
                .server
                .public_url
                .as_ref()
                .filter(|_| config.server.tls.is_some());
            let base = public.map_or_else(
                || format!("http://127.0.0.1:{}", config.server.bind.port()),
                |url| url.as_str().trim_end_matches('/').to_owned(),
            );
            let local = call::LocalServer {
                webhook: format!("{base}/voice/incoming"),
                public_url: config.server.public_url.as_ref().map(ToString::to_string),
                auth_token: twilio.auth_token.as_ref().map(|token| token.expose().to_owned()),
                account_sid: twilio.account_sid.clone(),
                number: twilio.phone_number.clone(),
            };
            let mut voice = engines::CallerVoice::new(&config);
            runtime.block_on(call::run(*args, local, &mut |text| voice.speak(text)))
        }
        Command::Bench(what) => {
            sign_as_local(&mut config);
            bench::run(&what, &config, &runtime)
        }
        Command::Data(args) => {
            let egress = Egress::new(config.egress.clone());
            runtime.block_on(data::run(args, &config, &egress))
        }
        Command::Keys(args) => {
            logging::init(&config.log);
            let egress = Egress::new(config.egress);
            runtime.block_on(keys::run(args, &config.database, &egress))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Models(args) => {
            let server = &config.server;
            let needed = engines::needed_models(&config);
            runtime.block_on(models::run(args, &server.models_dir, &server.hf_endpoint, &needed))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A simulated caller without an auth token signs with what the server of this machine takes instead.
fn sign_as_local(config: &mut Config) {
    if config.twilio.auth_token.is_none() {
        config.twilio.auth_token = local_key::of(config);
    }
}

/// Says what went wrong, one cause after the other, and fails.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    // Nothing is left to do if standard error is closed.
    let _ = writeln!(std::io::stderr(), "tieline: {error:#}");
    ExitCode::FAILURE
}

fn load(env_file: &std::path::Path) -> anyhow::Result<(Config, Strings)> {
    let named = env_file != std::path::Path::new(".env");
    anyhow::ensure!(
        !named || env_file.exists(),
        "{} does not exist; create it or leave --env-file out",
        env_file.display()
    );
    let strings = gather(environment(), Some(env_file))?;
    let config = Config::parse(&strings);
    let config = config.map_err(|errors| anyhow::anyhow!("the configuration cannot be used:\n{errors}"))?;
    Ok((config, strings))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the process environment"
)]
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
}
