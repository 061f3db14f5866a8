//! A whole cluster under load: brokers, roles and Redis are killed, frozen and wiped, one at a time.
//! Is every acknowledged event there, once, and does somebody always answer?
//!
//! Load and judgement are those of [`super::kills`]: clients keep a journal of what was
//! acknowledged, an oracle computes what that makes, and the state on Redis is held against it and
//! against a replay of the log.

mod front;
mod rounds;
mod site;
mod verdict;

use super::kills::{self, CLIENTS, Shared};
use super::oracle::Oracle;
use super::workload::{self, Operation, Workload};
use super::{ChaosArgs, Report};
use anyhow::{Context, Result};
use front::Front;
use serde::Serialize;
use site::Site;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Longest time from a fault's end until an event is visible again.
const FRESH_SECONDS_MAX: f64 = 20.0;

/// What the drill found.
#[derive(Debug, Serialize)]
pub(super) struct ClusterReport {
    mode: &'static str,
    seed: u64,
    kills: u32,
    /// How often each fault was made.
    faults: BTreeMap<&'static str, u32>,
    /// Distinct events that were acknowledged.
    acked: u64,
    lost: u64,
    doubled: u64,
    /// Whether served, stored and replayed state agree with each other and with the oracle.
    state_equal: bool,
    /// The hash of each partition's state.
    state_hashes: Vec<String>,
    requests: u64,
    /// Recommendations asked for while things broke, and those that nobody answered with 200.
    asked: u64,
    unanswered: u64,
    /// The longest time from a fault's end until an event was visible.
    fresh_after_seconds_max: f64,
    seconds: f64,
}

impl Report for ClusterReport {
    fn is_good(&self) -> bool {
        self.lost == 0
            && self.doubled == 0
            && self.state_equal
            && self.unanswered == 0
            && self.fresh_after_seconds_max <= FRESH_SECONDS_MAX
    }
}

/// Drives, breaks and mends the cluster, and compares what is left with the oracle.
pub(super) fn run(args: &ChaosArgs) -> Result<ClusterReport> {
    let started = Instant::now();
    let mut site = Site::start(args.bin.as_deref())?;
    let shared = Shared::default();
    let front = Front::new(site.serving());
    let start_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let opening = workload::opening(start_ms);
    kills::prepare(site.ingest()?, &opening)?;
    shared.set_address(Some(site.ingest()?));
    let (rounds, journals) = std::thread::scope(|scope| -> Result<_> {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (shared, seed) = (&shared, args.seed);
                scope.spawn(move || kills::drive(shared, Workload::new(seed, number, start_ms)))
            })
            .collect();
        let asker = scope.spawn(|| front.ask_until(&shared.is_over));
        let rounds = rounds::run(args, &mut site, &shared, &front, &opening);
        shared.is_broken.store(rounds.is_err(), Ordering::SeqCst);
        shared.is_over.store(true, Ordering::SeqCst);
        let journals = clients
            .into_iter()
            .map(|client| client.join().expect("a client does not panic"))
            .collect::<Result<Vec<Vec<Operation>>>>();
        asker.join().expect("the asker does not panic");
        Ok((rounds?, journals?))
    })?;
    let mut oracle = Oracle::default();
    oracle.apply(&opening);
    journals
        .iter()
        .flatten()
        .for_each(|operation| oracle.apply(operation));
    let verdict = verdict::of(&mut site, &oracle, &opening, start_ms).context("the verdict")?;
    for difference in &verdict.differences {
        eprintln!("chaos: seed {}: {difference}", args.seed);
    }
    Ok(ClusterReport {
        mode: "kafka-redis",
        seed: args.seed,
        kills: args.kills,
        faults: rounds.faults,
        acked: oracle.acked(),
        lost: verdict.lost,
        doubled: verdict.doubled,
        state_equal: verdict.state_equal,
        state_hashes: verdict.state_hashes,
        requests: shared.requests.load(Ordering::Relaxed),
        asked: front.asked(),
        unanswered: front.unanswered(),
        fresh_after_seconds_max: rounds.fresh_after_seconds_max,
        seconds: started.elapsed().as_secs_f64(),
    })
}
