//! Drills that break a Nowcast and compare what is left with what must be there.
//!
//! Six of them: kill the real binary under load ([`kills`]), break a cluster of it with the brokers
//! and the Redis below it or scale it up and down ([`cluster`]), end it at every disk operation and
//! cut the power at every one of them ([`crash_points`]), flip bits in its files ([`bit_flips`]),
//! and plant bugs that the other drills must notice ([`planted`]). The last one is what makes the
//! silence of the others mean something.

mod bit_flips;
mod cluster;
mod comparison;
mod crash_points;
mod forgery;
mod inspection;
mod kills;
mod labels;
mod lessons;
mod oracle;
mod planted;
mod recovery;
mod rig;
mod script;
mod served;
mod showing;
mod site;
#[cfg(test)]
mod tests;
mod verdict;
mod workload;

use crate::product::{client, process};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Bit flips of the short form.
const SHORT_FLIPS: u64 = 100;

/// Which drill, how long, and from which seed.
#[derive(Debug, Args)]
pub(crate) struct ChaosArgs {
    /// Kills the running binary under load, on this kind of log and store.
    #[arg(long)]
    mode: Option<Mode>,
    /// How often to kill.
    #[arg(long, default_value_t = 20)]
    kills: u32,
    /// With `--mode kafka-redis`, which faults and how often, in place of `--kills` of any kind:
    /// broker, ingest, process, serve, drain, owner (frozen), master (of Redis), wipe.
    #[arg(long, value_name = "KIND=N", value_delimiter = ',')]
    faults: Vec<cluster::FaultCount>,
    /// Scales the processors of a cluster from one to three and back, under load.
    #[arg(long)]
    scaling: bool,
    /// Crashes at every disk operation and failpoint of a short run.
    #[arg(long)]
    crash_points: bool,
    /// Flips so many bits in files.
    #[arg(long, value_name = "N")]
    bit_flips: Option<u64>,
    /// Plants bugs that the other drills must catch.
    #[arg(long)]
    planted: bool,
    /// Every drill in its short form, as CI runs it.
    #[arg(long)]
    short: bool,
    /// The folder of a child that runs the script until a failpoint ends it.
    #[arg(long, hide = true)]
    child: Option<PathBuf>,
    /// Seed of the load, the moments and the flips.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The binary to drill; without it `cargo build --release` makes one.
    #[arg(long, value_name = "FILE")]
    bin: Option<PathBuf>,
    /// Prints one JSON object per drill on stdout.
    #[arg(long)]
    json: bool,
}

/// What the drilled binary stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// The embedded log and store.
    Embedded,
    /// Three Kafka brokers, Redis under Sentinels, and a process for each role.
    KafkaRedis,
}

/// The result of one drill: what it found, and whether that is what it must find.
trait Report: Serialize {
    fn is_good(&self) -> bool;
}

/// Runs the drills that the arguments ask for.
pub(crate) fn run(args: &ChaosArgs) -> Result<ExitCode> {
    if let Some(folder) = &args.child {
        crash_points::run_child(folder, args.seed)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut drills = 0;
    let mut failed = 0;
    let mut show = |report: &dyn ShownReport| -> Result<()> {
        drills += 1;
        failed += u32::from(!report.good());
        println!("{}", report.text(args.json)?);
        Ok(())
    };
    if args.planted || args.short {
        show(&planted::run(args)?)?;
    }
    if args.crash_points || args.short {
        show(&crash_points::run(args)?)?;
    }
    if let Some(flips) = args.bit_flips.or(args.short.then_some(SHORT_FLIPS)) {
        show(&bit_flips::run(args, flips)?)?;
    }
    if args.mode == Some(Mode::Embedded) || args.short {
        show(&kills::run(args)?)?;
    }
    if args.mode == Some(Mode::KafkaRedis) {
        show(&cluster::run(args)?)?;
    }
    if args.scaling {
        show(&cluster::scale(args)?)?;
    }
    if drills == 0 {
        bail!(
            "name a drill: --mode embedded or kafka-redis, --scaling, --crash-points, --bit-flips N, \
             --planted, or --short for a little of each"
        );
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// [`Report`] as an object: what the printing needs.
trait ShownReport {
    fn good(&self) -> bool;
    fn text(&self, as_json: bool) -> Result<String>;
}

impl<R: Report> ShownReport for R {
    fn good(&self) -> bool {
        self.is_good()
    }

    fn text(&self, as_json: bool) -> Result<String> {
        if as_json {
            return Ok(serde_json::to_string(self)?);
        }
        let verdict = if self.is_good() { "good" } else { "BAD" };
        Ok(format!(
            "{verdict}: {}",
            serde_json::to_string_pretty(self)?
        ))
    }
}
