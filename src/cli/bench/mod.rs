//! `tieline bench`: measurements that need no phone.

mod barge;
mod calls;
mod clips;
mod figures;
mod latency;
mod load;
mod server;
mod stats;
mod stt;
mod stub_llm;
mod turns;
mod wer;

use std::process::ExitCode;

use clap::Subcommand;
use tokio::runtime::Runtime;

use crate::config::Config;

/// What to measure.
#[derive(Debug, Subcommand)]
pub(super) enum Bench {
    /// Voice-to-voice latency of simulated calls, stage by stage.
    Latency(Box<latency::LatencyArgs>),
    /// Interruptions, noise, words of listening: whether the agent stops when it should, and only then.
    Barge(Box<barge::BargeArgs>),
    /// Whole calls by voice: whether what was said, done and written down is what should have been.
    Calls(calls::CallsArgs),
    /// Word error and time of the transcriber on telephone-band clips, at the fitted and at the full audio context.
    Stt(stt::SttArgs),
    /// False cut-offs against dead air: labelled turns with pauses, faster than real time.
    Turns(Box<turns::TurnsArgs>),
}

pub(super) fn run(bench: &Bench, config: &Config, runtime: &Runtime) -> anyhow::Result<ExitCode> {
    match bench {
        Bench::Latency(args) => latency::run(args, config, runtime),
        Bench::Barge(args) => barge::run(args, config, runtime),
        Bench::Calls(args) => calls::run(args, config, runtime),
        Bench::Stt(args) => stt::run(args, config),
        Bench::Turns(args) => turns::run(args, config),
    }
}
