//! The `tieline` binary: reads the configuration, starts the runtime, runs one command.

use std::process::ExitCode;

use clap::Parser as _;
use tieline::cli::{self, Cli};

fn main() -> ExitCode {
    silence_onnxruntime();
    match cli::run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => cli::fail(&error),
    }
}

/// The onnxruntime of the Python packages tells Microsoft of its use as soon as it is loaded, before its own interface can be asked not
/// to. Only this variable, which it reads by itself, keeps it silent; `scripts/namespace_test.sh` sees to it.
#[expect(unsafe_code, reason = "there is no other way to set a variable for a C library")]
#[expect(clippy::disallowed_methods, reason = "nobody reads the environment yet")]
fn silence_onnxruntime() {
    // SAFETY: this is the first thing that `main` does, so there is no other thread yet that could read the environment.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}
