//! The `tieline` binary: reads the configuration, starts the runtime, runs one command.

use std::process::ExitCode;

use clap::Parser as _;
use tieline::cli::{self, Cli};

fn main() -> ExitCode {
    match cli::run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => cli::fail(&error),
    }
}
