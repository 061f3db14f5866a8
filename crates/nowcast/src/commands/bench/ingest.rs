//! `nowcast bench ingest`: durable events over HTTP with the fold running, beside bare axum
//! handlers that only parse the same bodies.
//!
//! Server, fold and generator share the machine, as the bars ask. CPU is counted by thread: what
//! receives, validates, encodes, appends and syncs is the ingest path; the fold's threads, those
//! that run in the background and the generator's are not.
//!
//! The disk's own sync is measured before and after the single posts, at their pace and on as many
//! files as the log has partitions; and, as a second figure, one write after the other on an
//! otherwise idle disk.

use super::baseline::{self, Baseline};
use super::bodies::EventBodies;
use super::{BenchOptions, median};
use crate::cli::Shared;
use crate::measure::cpu::ThreadTimes;
use crate::measure::disk_sync::{fdatasync_times, paced_fdatasync_times, quantile};
use crate::measure::load::{self, LoadPlan};
use crate::measure::scratch::Scratch;
use crate::progress;
use crate::running::{self, Running, SERVER_THREAD_NAME};
use crate::settings;
use nowcast_types::Stream;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Events of a large request.
const BATCH_EVENTS: u64 = 500;
/// Connections that post large requests.
const BATCH_CONNECTIONS: usize = 4;
/// Single posts a second.
const SINGLES_PER_SECOND: f64 = 2_000.0;
/// Connections that post single events: enough for a disk that takes 30 ms.
const SINGLE_CONNECTIONS: usize = 64;
/// Distinct users and items of the stream.
const USERS: u32 = 100_000;
const ITEMS: u32 = 40_000;

#[derive(Debug, Serialize)]
struct IngestResult {
    events_per_second: f64,
    cpu_us_per_event: f64,
    baseline_cpu_us_per_event: f64,
    cpu_ratio: f64,
    borrowed_baseline_cpu_us_per_event: f64,
    borrowed_cpu_ratio: f64,
    ack_p99_ms: f64,
    fdatasync_p99_ms: f64,
    ack_ratio: f64,
    ack_p50_ms: f64,
    fdatasync_p50_ms: f64,
    idle_fdatasync_p99_ms: f64,
    baseline_events_per_second: f64,
    batch_ack_p99_ms: f64,
    singles_per_second: f64,
    fold_lag_events: u64,
    rounds: usize,
    cpu_seconds_by_thread: BTreeMap<String, f64>,
}

#[derive(Default)]
struct Samples {
    rate: Vec<f64>,
    cpu_us: Vec<f64>,
    baseline_rate: Vec<f64>,
    baseline_cpu_us: Vec<f64>,
    borrowed_cpu_us: Vec<f64>,
    batch_p99: Vec<f64>,
    ack_p50: Vec<f64>,
    ack_p99: Vec<f64>,
    singles: Vec<f64>,
    sync: Vec<Duration>,
    idle_sync: Vec<Duration>,
}

/// Runs it.
///
/// # Errors
/// When the server cannot start or refuses an event.
pub fn run(shared: &Shared, options: &BenchOptions) -> anyhow::Result<()> {
    let output = shared.output();
    let scratch = Scratch::new(&options.scratch, "ingest")?;
    let loaded = settings::load_with(shared, running::scratch_flags(scratch.path()))?;
    let server = Running::start(loaded.settings)?;
    let baseline = Baseline::start()?;
    let (rounds, seconds) = if options.quick { (3, 3) } else { (5, 10) };
    let bar = progress::bar(output, rounds as u64, "rounds");
    let mut samples = Samples::default();
    let before = ThreadTimes::now()?;
    for round in 0..rounds {
        let plan = Round {
            bodies: EventBodies::new(options.seed, round as u32, USERS, ITEMS),
            duration: Duration::from_secs(seconds),
            scratch: &scratch,
        };
        plan.run(&server, baseline.address(), &mut samples)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let by_thread = ThreadTimes::now()?.by_name(&before);
    let lag = server.engine().status().lag_events;
    server.stop()?;

    let sync_p99_ms = quantile(&mut samples.sync, 0.99).as_secs_f64() * 1000.0;
    let cpu_us = median(&mut samples.cpu_us);
    let baseline_cpu_us = median(&mut samples.baseline_cpu_us);
    let borrowed_cpu_us = median(&mut samples.borrowed_cpu_us);
    let ack_p99_ms = median(&mut samples.ack_p99);
    let result = IngestResult {
        events_per_second: median(&mut samples.rate),
        cpu_us_per_event: cpu_us,
        baseline_cpu_us_per_event: baseline_cpu_us,
        cpu_ratio: cpu_us / baseline_cpu_us,
        borrowed_baseline_cpu_us_per_event: borrowed_cpu_us,
        borrowed_cpu_ratio: cpu_us / borrowed_cpu_us,
        ack_p99_ms,
        fdatasync_p99_ms: sync_p99_ms,
        ack_ratio: ack_p99_ms / sync_p99_ms,
        ack_p50_ms: median(&mut samples.ack_p50),
        fdatasync_p50_ms: quantile(&mut samples.sync, 0.5).as_secs_f64() * 1000.0,
        idle_fdatasync_p99_ms: quantile(&mut samples.idle_sync, 0.99).as_secs_f64() * 1000.0,
        baseline_events_per_second: median(&mut samples.baseline_rate),
        batch_ack_p99_ms: median(&mut samples.batch_p99),
        singles_per_second: median(&mut samples.singles),
        fold_lag_events: lag,
        rounds,
        cpu_seconds_by_thread: by_thread,
    };
    output.result(&result, describe)
}

fn describe(r: &IngestResult) -> String {
    format!(
        "{:.0} durable events/s in batches of {BATCH_EVENTS}, the fold running\n\
         ingest path {:.2} us CPU an event; a handler that only parses {:.2} us: {:.2}x; one that \
         borrows every field {:.2} us: {:.2}x\n\
         single posts at {:.0}/s: acknowledged p50 {:.2} ms, p99 {:.2} ms; fdatasync at \
         that pace p99 {:.2} ms: {:.2}x",
        r.events_per_second,
        r.cpu_us_per_event,
        r.baseline_cpu_us_per_event,
        r.cpu_ratio,
        r.borrowed_baseline_cpu_us_per_event,
        r.borrowed_cpu_ratio,
        r.singles_per_second,
        r.ack_p50_ms,
        r.ack_p99_ms,
        r.fdatasync_p99_ms,
        r.ack_ratio
    )
}

struct Round<'a> {
    bodies: EventBodies,
    duration: Duration,
    scratch: &'a Scratch,
}

impl Round<'_> {
    fn run(
        &self,
        server: &Running,
        baseline: SocketAddr,
        samples: &mut Samples,
    ) -> anyhow::Result<()> {
        let (rate, cpu, p99) = self.batches(server.address(), "/v1/events", is_ingest)?;
        samples.rate.push(rate);
        samples.cpu_us.push(cpu);
        samples.batch_p99.push(p99);
        // What the flood left to do must not run beside the yardsticks and the single posts.
        server.settle()?;
        let is_baseline = |name: &str| name.starts_with(baseline::THREAD_NAME);
        let (rate, cpu, _) = self.batches(baseline, baseline::OWNED_PATH, is_baseline)?;
        samples.baseline_rate.push(rate);
        samples.baseline_cpu_us.push(cpu);
        let (_, cpu, _) = self.batches(baseline, baseline::BORROWED_PATH, is_baseline)?;
        samples.borrowed_cpu_us.push(cpu);
        self.probe_disk(server, samples)?;
        let singles = load::run(
            LoadPlan {
                address: server.address(),
                path: "/v1/events",
                connections: SINGLE_CONNECTIONS,
                rate: Some(SINGLES_PER_SECOND),
                duration: self.duration,
                warm_up: self.duration / 6,
            },
            // Numbers far from those of the batches: the ids of a run never meet.
            &|number, out| self.bodies.single(number + (1 << 40), out),
        )?
        .checked()?;
        samples.ack_p50.push(singles.quantile_ms(0.5));
        samples.ack_p99.push(singles.quantile_ms(0.99));
        samples.singles.push(singles.rate());
        self.probe_disk(server, samples)
    }

    fn probe_disk(&self, server: &Running, samples: &mut Samples) -> anyhow::Result<()> {
        let (dir, duration) = (self.scratch.path(), self.duration / 4);
        let files = usize::from(server.engine().log().partitions(Stream::Events));
        let paced = paced_fdatasync_times(dir, files, SINGLES_PER_SECOND, duration)?;
        samples.sync.extend(paced);
        samples.idle_sync.extend(fdatasync_times(dir, duration)?);
        Ok(())
    }

    /// Events a second, microseconds of CPU per event of the threads counted, and the p99 of an
    /// acknowledgement in milliseconds.
    fn batches(
        &self,
        address: SocketAddr,
        path: &'static str,
        is_counted: impl Fn(&str) -> bool,
    ) -> anyhow::Result<(f64, f64, f64)> {
        let before = ThreadTimes::now()?;
        let result = load::run(
            LoadPlan {
                address,
                path,
                connections: BATCH_CONNECTIONS,
                rate: None,
                duration: self.duration,
                warm_up: Duration::ZERO,
            },
            &|number, out| self.bodies.batch(number, BATCH_EVENTS, out),
        )?
        .checked()?;
        let cpu = ThreadTimes::now()?.since(&before, is_counted);
        let events = (result.done * BATCH_EVENTS) as f64;
        let rate = events / self.duration.as_secs_f64();
        Ok((
            rate,
            cpu.as_secs_f64() * 1e6 / events,
            result.quantile_ms(0.99),
        ))
    }
}

/// Threads of the ingest path: those that serve HTTP and those that write the log.
fn is_ingest(name: &str) -> bool {
    name.starts_with(SERVER_THREAD_NAME) || name.starts_with("log-")
}
