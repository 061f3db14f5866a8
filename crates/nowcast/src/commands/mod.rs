//! One file a command.

pub mod bench;
pub mod config;
pub mod dead_letters;
pub mod demo;
pub mod doctor;
pub mod evaluate;
pub mod import;
pub mod recommend;
pub mod replay;
pub mod run;
pub mod simulate;
pub mod size;
pub mod status;
pub mod train;
pub mod tune;
pub mod up;

use crate::cli::{Cli, Command};
use crate::settings::Problem;
use std::fmt;

/// Runs the command.
///
/// # Errors
/// Whatever went wrong, in words for the person at the terminal.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    let Cli { shared, command } = cli;
    match command {
        Command::Up(args) => up::run(&shared, &args),
        Command::Run(args) => run::run(&shared, &args),
        Command::Status(args) => status::run(&shared, &args),
        Command::Size(args) => size::run(&shared, &args),
        Command::Demo(args) => demo::run(&shared, &args),
        Command::Import(args) => import::run(&shared, &args),
        Command::Replay(args) => replay::run(&shared, &args),
        Command::Train(args) => train::run(&shared, &args),
        Command::Evaluate(args) => evaluate::run(&shared, &args),
        Command::Tune(args) => tune::run(&shared, &args),
        Command::Recommend(args) => recommend::run(&shared, &args),
        Command::Simulate(args) => simulate::run(&shared, &args),
        Command::Bench(args) => bench::run(&shared, &args),
        Command::DeadLetters(args) => dead_letters::run(&shared, &args),
        Command::Doctor(args) => doctor::run(&shared, &args),
        Command::Config(args) => config::run(&shared, &args),
    }
}

/// A failure with an exit code of its own.
#[derive(Debug)]
pub enum Failure {
    /// The configuration does not hold: exit code 2.
    Configuration(Vec<Problem>),
    /// A check ran and found problems, which it has already printed: exit code 3.
    CheckFailed,
}

impl Failure {
    /// The process's exit code.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) => 2,
            Self::CheckFailed => 3,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(problems) => {
                write!(f, "the configuration has {} problem(s):", problems.len())?;
                problems
                    .iter()
                    .try_for_each(|problem| write!(f, "\n  {problem}"))
            }
            Self::CheckFailed => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}
