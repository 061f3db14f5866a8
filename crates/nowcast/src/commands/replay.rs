//! `nowcast replay`: all state again from the log alone, compared with the live state bit for bit.

use super::Failure;
use crate::cli::Shared;
use crate::progress;
use crate::running;
use crate::settings;
use anyhow::Context;
use clap::Args;
use nowcast_types::{Offset, Stream};
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Rebuilds all state from the log and compares it with the live state, bit for bit.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nowcast replay
  nowcast replay --data data --threads 2 --json

Exit code 3 means that the two states differ.")]
pub struct ReplayArgs {
    /// Threads to fold with; each partition is folded by one of them.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

#[derive(Debug, Serialize)]
struct ReplayResult {
    equal: bool,
    partitions: Vec<PartitionResult>,
    events: u64,
    seconds: f64,
    events_per_second: f64,
}

#[derive(Debug, Serialize)]
struct PartitionResult {
    partition: u16,
    records: u64,
    earliest: Offset,
    live_hash: String,
    replayed_hash: String,
    equal: bool,
}

/// Runs it.
///
/// # Errors
/// When the data folder is in use or damaged; [`Failure::CheckFailed`] when the states differ.
pub fn run(shared: &Shared, args: &ReplayArgs) -> anyhow::Result<()> {
    let output = shared.output();
    let settings = settings::load_with(shared, vec![running::no_background_training()])?.settings;
    running::ensure_data(&settings)?;
    let engine = running::open_own_engine(&settings)?;
    let spinner = progress::spinner(output, "restoring the live state");
    running::wait_live(&engine, Duration::from_secs(3600))?;
    spinner.finish_and_clear();
    let live = engine.processor().state_hashes();
    let log = engine.log();
    let total = (0..log.partitions(Stream::Events))
        .map(|p| log.bounds(Stream::Events, nowcast_types::PartitionId(p)))
        .collect::<Result<Vec<_>, _>>()
        .context("cannot read the log's bounds")?
        .iter()
        .map(|bounds| bounds.end - bounds.earliest)
        .sum();
    let bar = progress::bar(output, total, "events");
    bar.set_message("replaying");
    let folded = AtomicU64::new(0);
    let threads = args.threads.unwrap_or_else(|| {
        std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
    });
    let started = Instant::now();
    let is_done = AtomicBool::new(false);
    let replayed = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                bar.set_position(folded.load(Ordering::Relaxed));
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let replayed = nowcast_stream::replay(&**log, engine.processor().plan(), threads, &folded);
        is_done.store(true, Ordering::Relaxed);
        replayed
    })
    .context("the log cannot be replayed")?;
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    let partitions: Vec<PartitionResult> = replayed
        .iter()
        .zip(&live)
        .map(|(replayed, live)| PartitionResult {
            partition: replayed.partition.0,
            records: replayed.state.position() - replayed.earliest,
            earliest: replayed.earliest,
            live_hash: format!("{live:016x}"),
            replayed_hash: format!("{:016x}", replayed.state_hash),
            equal: replayed.state_hash == *live,
        })
        .collect();
    let events = folded.load(Ordering::Relaxed);
    let result = ReplayResult {
        equal: partitions.iter().all(|partition| partition.equal),
        partitions,
        events,
        seconds,
        events_per_second: events as f64 / seconds.max(1e-9),
    };
    engine.close();
    output.result(&result, describe)?;
    if result.equal {
        Ok(())
    } else {
        Err(Failure::CheckFailed.into())
    }
}

fn describe(result: &ReplayResult) -> String {
    let mut lines: Vec<String> = result
        .partitions
        .iter()
        .map(|p| {
            let verdict = match (p.equal, p.earliest) {
                (true, _) => "equal",
                (false, 0) => "DIFFERENT",
                (false, _) => "different: the log no longer reaches back to its beginning",
            };
            format!(
                "partition {:<3} {:>10} records  live {}  replayed {}  {verdict}",
                p.partition, p.records, p.live_hash, p.replayed_hash
            )
        })
        .collect();
    lines.push(format!(
        "{} records in {:.1} s, {:.0} records/s",
        result.events, result.seconds, result.events_per_second
    ));
    lines.join("\n")
}
