//! `nowcast replay`: all state again from the log alone, compared with the live state bit for bit.

use super::Failure;
use crate::backends::Cluster;
use crate::cli::Shared;
use crate::progress;
use crate::roles::Role;
use crate::running;
use crate::settings;
use anyhow::Context;
use clap::Args;
use nowcast_engine::Engine;
use nowcast_features::PartitionState;
use nowcast_store::{ChainId, StateReader};
use nowcast_stream::{Replayed, StreamError, replay_partition_to};
use nowcast_types::{Offset, PartitionId};
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
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
    let (engine, cluster) = running::open_for(&settings, Role::Monitor)?;
    let spinner = progress::spinner(output, "restoring the live state");
    running::wait_live(&engine, Duration::from_secs(3600))?;
    spinner.finish_and_clear();
    let live = live_states(&engine, cluster)?;
    let total = live.iter().map(|live| live.position).sum();
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
        let replayed = replay_all(&engine, &live, threads, &folded);
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
            live_hash: format!("{:016x}", live.hash),
            replayed_hash: format!("{:016x}", replayed.state_hash),
            equal: replayed.state_hash == live.hash,
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

/// A partition's state as it is served or stored, and how far it is.
struct LiveState {
    hash: u64,
    position: Offset,
}

/// What this process has folded, or what others have committed.
fn live_states(engine: &Engine, cluster: Option<Cluster>) -> anyhow::Result<Vec<LiveState>> {
    if let Some(cluster) = cluster {
        let plan = engine.processor().plan();
        let stored = |partition: u16| {
            let chain = ChainId::events(PartitionId(partition));
            let saved = cluster.redis.whole(chain)?;
            let blobs = saved.map(|saved| saved.blobs).unwrap_or_default();
            let state = PartitionState::restore(plan.clone(), &blobs)?;
            Ok(LiveState {
                hash: state.state_hash(),
                position: state.position(),
            })
        };
        return (0..engine.processor().partitions()).map(stored).collect();
    }
    drop(cluster);
    let processor = engine.processor();
    let hashes = processor.state_hashes().into_iter();
    let live = hashes.zip(processor.applied_all());
    Ok(live
        .map(|(hash, position)| LiveState { hash, position })
        .collect())
}

/// Folds every partition as far as its live state is.
fn replay_all(
    engine: &Engine,
    live: &[LiveState],
    threads: usize,
    folded: &AtomicU64,
) -> Result<Vec<Replayed>, StreamError> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(live) = live.get(at) else {
                return Ok(done);
            };
            let partition = PartitionId(at as u16);
            let (log, plan) = (&**engine.log(), engine.processor().plan());
            let replayed = replay_partition_to(log, plan, partition, live.position, folded)?;
            done.push(replayed);
        }
    };
    let parts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let parts = threads.into_iter().map(|thread| match thread.join() {
            Ok(part) => part,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        parts.collect::<Result<Vec<Vec<Replayed>>, StreamError>>()
    })?;
    let mut all: Vec<Replayed> = parts.into_iter().flatten().collect();
    all.sort_by_key(|replayed| replayed.partition);
    Ok(all)
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
