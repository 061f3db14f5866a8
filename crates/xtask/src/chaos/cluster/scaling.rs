//! One processor, three, one again, under load: how long does a partition wait for its new owner?

use super::site::Site;
use super::{Load, verdict};
use crate::chaos::client::Client;
use crate::chaos::kills::Shared;
use crate::chaos::served;
use crate::chaos::workload::Operation;
use crate::chaos::{ChaosArgs, Report};
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest time that a partition may wait.
const PAUSE_SECONDS_MAX: f64 = 5.0;
/// Longest time until everybody who should have a partition has one.
const SPREAD_PATIENCE: Duration = Duration::from_secs(60);
/// How long each step is watched once it is done.
const WATCHED: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);

/// What the drill found.
#[derive(Debug, Serialize)]
pub(in crate::chaos) struct ScalingReport {
    mode: &'static str,
    seed: u64,
    /// Each step with its longest pause.
    steps: Vec<Step>,
    /// Distinct events that were acknowledged.
    acked: u64,
    lost: u64,
    doubled: u64,
    /// Whether served, stored and replayed state agree with each other and with the oracle.
    state_equal: bool,
    /// The longest time during which an event of any partition was not visible.
    pause_seconds_max: f64,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Step {
    what: &'static str,
    pause_seconds_max: f64,
}

impl Report for ScalingReport {
    fn is_good(&self) -> bool {
        self.lost == 0
            && self.doubled == 0
            && self.state_equal
            && self.pause_seconds_max <= PAUSE_SECONDS_MAX
    }
}

/// Scales up and down under load, and compares what is left with the oracle.
pub(in crate::chaos) fn run(args: &ChaosArgs) -> Result<ScalingReport> {
    let started = Instant::now();
    let mut site = Site::start(args.bin.as_deref(), &["ingest", "process", "serve"])?;
    let load = Load::new(args.seed, site.ingest()?)?;
    let (steps, journals) = load.during(&Shared::default(), || scale(&mut site, &load.opening))?;
    let oracle = load.oracle(&journals);
    let verdict = verdict::of(&mut site, &oracle, &load).context("the verdict")?;
    for difference in &verdict.differences {
        eprintln!("chaos: seed {}: {difference}", args.seed);
    }
    let pauses = steps.iter().map(|step| step.pause_seconds_max);
    Ok(ScalingReport {
        mode: "scaling",
        seed: args.seed,
        acked: oracle.acked(),
        lost: verdict.lost,
        doubled: verdict.doubled,
        state_equal: verdict.state_equal,
        pause_seconds_max: pauses.fold(0.0, f64::max),
        steps,
        seconds: started.elapsed().as_secs_f64(),
    })
}

fn scale(site: &mut Site, opening: &Operation) -> Result<Vec<Step>> {
    let ingest = site.ingest()?;
    let mut steps = Vec::new();
    let mut step = |what, work: &mut dyn FnMut() -> Result<()>| -> Result<()> {
        let pause_seconds_max = longest_pause(ingest, opening, work).context(what)?;
        eprintln!("chaos: {what}: longest pause {pause_seconds_max:.1} s");
        steps.push(Step {
            what,
            pause_seconds_max,
        });
        Ok(())
    };
    step("one process", &mut || Ok(()))?;
    step("two more", &mut || {
        site.add("process")?;
        site.add("process")?;
        wait_spread(site, 3)
    })?;
    step("one drained", &mut || drain_one(site))?;
    step("another drained", &mut || drain_one(site))?;
    Ok(steps)
}

fn drain_one(site: &mut Site) -> Result<()> {
    let first = *site.places("process").first().context("nobody folds")?;
    let mut process = site.roles.remove(first);
    process.drain()?;
    wait_spread(site, site.places("process").len())
}

/// Waits until so many processes have a partition, and all partitions are folded.
fn wait_spread(site: &Site, processes: usize) -> Result<()> {
    let deadline = Instant::now() + SPREAD_PATIENCE;
    loop {
        let held: Vec<usize> = site
            .places("process")
            .into_iter()
            .filter_map(|at| site.roles[at].address)
            .map(partitions_of)
            .collect::<Result<_>>()?;
        let all = usize::from(crate::chaos::site::PARTITIONS);
        let is_spread = held.len() == processes && held.iter().all(|held| *held > 0);
        if is_spread && held.iter().sum::<usize>() == all {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "partitions are held {held:?}");
        std::thread::sleep(POLL);
    }
}

/// How many partitions a process folds.
fn partitions_of(address: SocketAddr) -> Result<usize> {
    let answer = Client::connect(address)?.send("GET", "/v1/status", "")?;
    let status: serde_json::Value = serde_json::from_str(&answer.body)?;
    let partitions = status["partitions"].as_array().context("no partitions")?;
    let is_held = |partition: &&serde_json::Value| partition["phase"] == "live";
    Ok(partitions.iter().filter(is_held).count())
}

/// Does `work`, watches for a while, and answers with the longest time that an event of any
/// partition took to become visible, in seconds.
fn longest_pause(
    ingest: SocketAddr,
    opening: &Operation,
    work: &mut dyn FnMut() -> Result<()>,
) -> Result<f64> {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            while !is_over.load(Ordering::SeqCst) {
                let asked = Instant::now();
                // An answer without it having been applied is asked for again: the time goes on.
                while served::catch_up(ingest, opening).is_err() && !is_over.load(Ordering::SeqCst)
                {
                    std::thread::sleep(POLL);
                }
                longest = longest.max(asked.elapsed());
                std::thread::sleep(POLL);
            }
            longest.as_secs_f64()
        });
        let worked = work();
        std::thread::sleep(WATCHED);
        is_over.store(true, Ordering::SeqCst);
        let longest = watcher.join().expect("the watcher does not panic");
        worked.map(|()| longest)
    })
}
