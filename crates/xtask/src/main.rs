//! The project's own tools, run as `cargo xtask <tool>`.
//!
//! `tidy` holds the rules of the house over the source tree; `chaos` kills, tears and corrupts a
//! running Nowcast and compares what is left with an oracle; `conformance` runs the same input over
//! every log and store; `throughput` measures it on Kafka and Redis; `services` brings up the real servers
//! that Nowcast works with. None of them is part of the product.

#![allow(
    clippy::print_stdout,
    reason = "a command-line tool talks to its terminal"
)]

mod chaos;
mod conformance;
mod product;
mod services;
mod throughput;
mod tidy;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Checks and drills of the Nowcast repository"
)]
struct Cli {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Subcommand)]
enum Tool {
    /// Checks layers, sizes, openings, words, manifests and links of the source tree.
    Tidy,
    /// Kills, tears and corrupts a Nowcast and compares what is left with an oracle.
    Chaos(chaos::ChaosArgs),
    /// Runs the same input through every combination of log and store and compares what comes of it.
    Conformance(conformance::ConformanceArgs),
    /// Measures the roles on Kafka and Redis beside plain clients of both.
    Throughput(throughput::ThroughputArgs),
    /// Brings up Kafka, Redis, S3, PostgreSQL and others beside Nowcast, and takes them down.
    Services(services::ServicesArgs),
}

fn main() -> Result<ExitCode> {
    match Cli::parse().tool {
        Tool::Tidy => tidy::run(),
        Tool::Chaos(args) => chaos::run(&args),
        Tool::Conformance(args) => conformance::run(&args),
        Tool::Throughput(args) => throughput::run(&args),
        Tool::Services(args) => services::run(&args),
    }
}
