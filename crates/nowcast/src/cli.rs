//! The command line: what every command shares, and the list of commands.

use crate::commands::size;
use crate::commands::{
    bench, config, dead_letters, demo, doctor, evaluate, import, recommend, replay, run, simulate,
    status, train, tune, up,
};
use crate::output::Output;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Real-time personalization in one binary.
#[derive(Debug, Parser)]
#[command(
    name = "nowcast",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "\
Examples:
  nowcast demo                          a live demonstration in the browser
  nowcast up                            start everything on ./data
  nowcast import --format events --header --user user_id --item song_id --time ts plays.csv.zst
  nowcast recommend --user u1           what u1 would see now
  nowcast config show                   every setting, with its default

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 a check found problems.")]
pub struct Cli {
    /// What all commands share.
    #[command(flatten)]
    pub shared: Shared,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub struct Shared {
    /// Configuration file; without it ./nowcast.toml, if there is one.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Overrides one setting, such as `server.listen=127.0.0.1:8000`; may be repeated.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Folder of all data.
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Prints results as JSON, one object a line.
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress on stderr.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Log filter, such as `info` or `nowcast_stream=debug`.
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "NOWCAST_LOG",
        default_value = "warn"
    )]
    pub log: String,
}

impl Shared {
    /// How to report.
    #[must_use]
    pub fn output(&self) -> Output {
        Output {
            json: self.json,
            quiet: self.quiet,
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Starts all roles and serves until stopped.
    Up(up::UpArgs),
    /// Runs some roles, beside other processes on the same log and state.
    Run(run::RunArgs),
    /// Says how the processes are doing: members, partitions, lag, versions.
    Status(status::StatusArgs),
    /// Estimates the memory of Redis for a number of users and items.
    Size(size::SizeArgs),
    /// Shows it all live: a simulated catalogue and readers, and a page to watch.
    Demo(demo::DemoArgs),
    /// Reads events or items from files into the log.
    Import(import::ImportArgs),
    /// Rebuilds all state from the log and compares it with the live state, bit for bit.
    Replay(replay::ReplayArgs),
    /// Trains models from the log and publishes them.
    Train(train::TrainArgs),
    /// Measures models on published splits or event streams.
    Evaluate(evaluate::EvaluateArgs),
    /// Searches a model's parameters on a held-out part of the train part.
    Tune(tune::TuneArgs),
    /// Answers one recommendation request.
    Recommend(recommend::RecommendArgs),
    /// Sends simulated readers' traffic to a running server.
    Simulate(simulate::SimulateArgs),
    /// Measures speed, freshness and memory on this machine.
    Bench(bench::BenchArgs),
    /// Shows what was refused, and takes it in after all.
    DeadLetters(dead_letters::DeadLettersArgs),
    /// Says what will not train or serve, and why.
    Doctor(doctor::DoctorArgs),
    /// Checks or shows the configuration.
    Config(config::ConfigArgs),
}
