//! `nowcast bench fold`: log bytes in memory, decoded and applied in full on one core.
//!
//! The baseline is what one would write by hand to count the same events and nothing else: two
//! hash maps of exponentially decayed counters, on events already decoded. Both are timed by the CPU
//! clock of their thread.

use super::stream::RecordWriter;
use super::{BenchOptions, median};
use crate::cli::Shared;
use crate::measure::cpu::this_thread;
use crate::progress;
use anyhow::Context;
use clap::Args;
use nowcast_features::{FoldConfig, FoldPlan, Outcome, PartitionState};
use nowcast_log::{EventLog, MemoryLog, RecordBatch, StoredBatch};
use nowcast_sim::{RawEvent, Traffic, TrafficOptions};
use nowcast_types::{EventTypes, Offset, PartitionId, Stream};
use serde::Serialize;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// Records per batch, as the processor reads them.
const BATCH_EVENTS: usize = 256;

/// Flags of `bench fold`.
#[derive(Debug, Args)]
pub struct FoldArgs {
    /// Events per round.
    #[arg(long)]
    events: Option<usize>,
    /// Distinct users. With so many, both loops wait for memory as they would in earnest.
    #[arg(long, default_value_t = 1_000_000)]
    users: u32,
    /// Distinct items.
    #[arg(long, default_value_t = 100_000)]
    items: u32,
}

#[derive(Debug, Serialize)]
struct FoldResult {
    events_per_second_per_core: f64,
    baseline_events_per_second_per_core: f64,
    ratio: f64,
    events: usize,
    rounds: usize,
    views: usize,
    users: u32,
    items: u32,
    log_bytes_per_event: f64,
}

/// Runs it.
///
/// # Errors
/// When the fold configuration does not compile or an event was not applied.
pub fn run(shared: &Shared, options: &BenchOptions, args: &FoldArgs) -> anyhow::Result<()> {
    let output = shared.output();
    let events = args
        .events
        .unwrap_or(if options.quick { 1_000_000 } else { 4_000_000 });
    let rounds = if options.quick { 3 } else { 5 };
    let config = FoldConfig::default();
    let plan = FoldPlan::compile(&config, Arc::new(EventTypes::default()))
        .context("the default fold does not compile")?;
    let traffic = TrafficOptions {
        users: args.users,
        items: args.items,
        ..TrafficOptions::default()
    };
    let raw: Vec<RawEvent> = Traffic::new(options.seed, traffic).take(events).collect();
    let batches = encode(&raw)?;
    let log_bytes: usize = batches.iter().map(StoredBatch::byte_len).sum();
    let bar = progress::bar(output, 2 * rounds as u64, "runs");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        bar.set_message("fold");
        ours.push(events as f64 / fold_all(&plan, &batches, events)?.as_secs_f64());
        bar.inc(1);
        bar.set_message("hand-written loop");
        theirs.push(events as f64 / count_all(&raw)?.as_secs_f64());
        bar.inc(1);
    }
    bar.finish_and_clear();
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    let result = FoldResult {
        events_per_second_per_core: ours,
        baseline_events_per_second_per_core: theirs,
        ratio: ours / theirs,
        events,
        rounds,
        views: config.views.len(),
        users: args.users,
        items: args.items,
        log_bytes_per_event: log_bytes as f64 / events as f64,
    };
    output.result(&result, |r| {
        format!(
            "fold: {:.0} events/s on one core (median of {}), dedup, history, sessions, affinity, \
             co-visits and {} views included\nhand-written loop of two decayed counters: {:.0} \
             events/s; the fold is {:.3}x of it",
            r.events_per_second_per_core,
            r.rounds,
            r.views,
            r.baseline_events_per_second_per_core,
            r.ratio
        )
    })
}

/// The stream as a log hands it out: framed batches of encoded records.
pub(super) fn encode(raw: &[RawEvent]) -> anyhow::Result<Vec<StoredBatch>> {
    let log = MemoryLog::new(1);
    let mut writer = RecordWriter::default();
    for part in raw.chunks(BATCH_EVENTS) {
        let mut batch = RecordBatch::with_capacity(part.len() * 128);
        for event in part {
            writer.push(event, &mut batch);
        }
        log.append(Stream::Events, PartitionId(0), batch)
            .wait()
            .context("the memory log refused a batch")?;
    }
    log.read(Stream::Events, PartitionId(0), 0, usize::MAX)
        .context("cannot read the memory log back")
}

/// Decodes and folds every batch into a fresh state.
fn fold_all(
    plan: &Arc<FoldPlan>,
    batches: &[StoredBatch],
    events: usize,
) -> anyhow::Result<Duration> {
    let mut state = PartitionState::new(Arc::clone(plan));
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(BATCH_EVENTS);
    let started = this_thread()?;
    for batch in batches {
        fold_batch(&mut state, batch, 0, &mut outcomes)?;
    }
    let took = this_thread()? - started;
    let applied = state.counters().applied;
    anyhow::ensure!(
        applied == events as u64,
        "only {applied} of {events} events were applied: {:?}",
        state.counters()
    );
    Ok(took)
}

/// Decodes and folds one batch whose offsets count from `base`.
pub(super) fn fold_batch(
    state: &mut PartitionState,
    batch: &StoredBatch,
    base: Offset,
    outcomes: &mut Vec<Outcome>,
) -> anyhow::Result<()> {
    outcomes.clear();
    let mut records = Vec::with_capacity(batch.count() as usize);
    for (offset, record) in batch.records() {
        records.push((base + offset, record.context("a record does not decode")?));
    }
    state.apply_batch(&records, outcomes);
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Counter {
    at_ms: i64,
    by_kind: [f32; 8],
}

impl Counter {
    /// Half-life of a week, as the fold's affinity has.
    const PER_MS: f32 = -std::f32::consts::LN_2 / 604_800_000.0;

    fn add(&mut self, kind: u8, at_ms: i64) {
        let passed = at_ms - self.at_ms;
        if passed > 0 {
            let left = (passed as f32 * Self::PER_MS).exp();
            self.by_kind.iter_mut().for_each(|weight| *weight *= left);
            self.at_ms = at_ms;
        }
        self.by_kind[usize::from(kind & 7)] += 1.0;
    }
}

/// Two decayed counters per event, by user and by item.
fn count_all(raw: &[RawEvent]) -> anyhow::Result<Duration> {
    type Counters = HashMap<u32, Counter, BuildHasherDefault<IntegerHasher>>;
    let (mut users, mut items) = (Counters::default(), Counters::default());
    let started = this_thread()?;
    for event in raw {
        users
            .entry(event.user)
            .or_default()
            .add(event.kind, event.timestamp_ms);
        items
            .entry(event.item)
            .or_default()
            .add(event.kind, event.timestamp_ms);
    }
    let took = this_thread()? - started;
    std::hint::black_box((users.len(), items.len()));
    Ok(took)
}

/// One multiplication: the cheapest hash that still spreads integers, so that the baseline is
/// fast.
#[derive(Default)]
struct IntegerHasher(u64);

impl Hasher for IntegerHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }
    fn write_u32(&mut self, number: u32) {
        let mixed = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}
