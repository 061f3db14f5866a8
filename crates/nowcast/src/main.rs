//! Real-time personalization in one binary.
//!
//! The only place that knows which backend is which: it reads the configuration, wires the crates
//! below and hands their results to the terminal. What the engine *does* is not here.

// A binary has no outside: `pub` here says what a module offers to the others.
#![allow(unreachable_pub)]

mod backends;
mod cli;
mod client;
mod commands;
mod import;
mod measure;
mod output;
mod progress;
mod roles;
mod running;
mod settings;
mod sharing;
mod simulation;

use clap::Parser;
use cli::Cli;
use commands::Failure;
use std::io::Write;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging(&cli.shared.log);
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let (code, text) = match error.downcast_ref::<Failure>() {
                Some(failure) => (failure.exit_code(), failure.to_string()),
                None => (1, output::words(&error)),
            };
            if !text.is_empty() {
                let _ = writeln!(std::io::stderr(), "error: {text}");
            }
            ExitCode::from(code)
        }
    }
}

/// Logs go to stderr: people and scripts read results on stdout.
fn start_logging(filter: &str) {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let format = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::env::var_os("NOWCAST_LOG_JSON").is_some() {
        format.json().init();
    } else {
        format.init();
    }
}
