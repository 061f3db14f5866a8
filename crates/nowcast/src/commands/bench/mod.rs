//! Measurements on this machine, each with its own baseline run interleaved in the same call.

pub mod baseline;
pub mod bodies;
pub mod fold;
pub mod freshness;
pub mod ingest;
pub mod memory;
pub mod online;
mod online_data;
pub mod serve;
pub mod stream;

use crate::cli::Shared;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Measures speed, freshness and memory on this machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nowcast bench fold --json
  nowcast bench ingest --quick
  nowcast bench memory --users 1000000
  nowcast bench online --vw 'python3 -m vowpalwabbit'

Build with --release before believing any figure.")]
pub struct BenchArgs {
    /// A minute or less, at the price of noisier figures.
    #[arg(long, global = true)]
    quick: bool,
    /// Folder whose disk is measured; a scratch folder in it is made and removed.
    #[arg(long, global = true, value_name = "DIR", default_value = "data")]
    scratch: PathBuf,
    /// Seed of the synthetic streams.
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Durable HTTP ingest, and what it costs beside a handler that only parses.
    Ingest,
    /// The whole fold on one core, against a hand-written loop of two decayed counters.
    Fold(fold::FoldArgs),
    /// Recommendations over HTTP, open loop and at saturation.
    Serve(serve::ServeArgs),
    /// From an acknowledged click to the changed answer, under load.
    Freshness(freshness::FreshnessArgs),
    /// Bytes per user and per item.
    Memory(memory::MemoryArgs),
    /// The online ranker's learning on one core, against Vowpal Wabbit where there is one.
    Online(online::OnlineArgs),
}

/// What all benchmarks are told.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// A minute or less.
    pub quick: bool,
    /// Folder whose disk is measured.
    pub scratch: PathBuf,
    /// Seed of the synthetic streams.
    pub seed: u64,
}

/// Runs one benchmark.
///
/// # Errors
/// When it could not be run; a slow result is not an error.
pub fn run(shared: &Shared, args: &BenchArgs) -> anyhow::Result<()> {
    let options = BenchOptions {
        quick: args.quick,
        scratch: args.scratch.clone(),
        seed: args.seed,
    };
    if cfg!(debug_assertions) {
        shared
            .output()
            .note("this is a debug build: its figures mean nothing");
    }
    match &args.what {
        What::Ingest => ingest::run(shared, &options),
        What::Fold(args) => fold::run(shared, &options, args),
        What::Serve(args) => serve::run(shared, &options, args),
        What::Freshness(args) => freshness::run(shared, &options, args),
        What::Memory(args) => memory::run(shared, &options, args),
        What::Online(args) => online::run(shared, &options, args),
    }
}

/// The middle value; zero for none.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
