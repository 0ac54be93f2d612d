//! `tieline bench`: measurements that need no phone.

mod stt;
mod wer;

use std::process::ExitCode;

use clap::Subcommand;

use crate::config::Config;

/// What to measure.
#[derive(Debug, Subcommand)]
pub(super) enum Bench {
    /// Word error and time of the transcriber on telephone-band clips, at the fitted and at the full audio context.
    Stt(stt::SttArgs),
}

pub(super) fn run(bench: &Bench, config: &Config) -> anyhow::Result<ExitCode> {
    match bench {
        Bench::Stt(args) => stt::run(args, config),
    }
}
