//! A whole cluster under load: brokers, roles and Redis are killed, frozen and wiped, one at a time.
//! Is every acknowledged event there, once, and does somebody always answer?
//!
//! Load and judgement are those of [`super::kills`]: clients keep a journal of what was
//! acknowledged, an oracle computes what that makes, and the state on Redis is held against it and
//! against a replay of the log.

mod front;
mod rounds;
mod scaling;
mod site;
mod verdict;

use super::kills::{self, CLIENTS, Shared};
use super::oracle::Oracle;
use super::workload::{self, Operation, Workload};
use super::{ChaosArgs, Report};
use anyhow::{Context, Result};
use front::Front;
pub(super) use rounds::FaultCount;
pub(super) use scaling::run as scale;
use serde::Serialize;
use site::Site;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// The longest time from a fault's end until an event was visible, of all and by fault.
    fresh_after_seconds_max: f64,
    fresh_after_seconds: BTreeMap<&'static str, f64>,
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
    let mut site = Site::start(args.bin.as_deref(), &site::TWO_OF_MOST)?;
    let shared = Shared::default();
    let front = Front::new(site.serving());
    let load = Load::new(args.seed, site.ingest()?)?;
    let is_over = AtomicBool::new(false);
    let (rounds, journals) = load.during(&shared, || {
        std::thread::scope(|scope| {
            let asker = scope.spawn(|| front.ask_until(&is_over));
            let rounds = rounds::run(args, &mut site, &shared, &front, &load.opening);
            is_over.store(true, Ordering::SeqCst);
            asker.join().expect("the asker does not panic");
            rounds
        })
    })?;
    let oracle = load.oracle(&journals);
    let verdict = verdict::of(&mut site, &oracle, &load).context("the verdict")?;
    for difference in &verdict.differences {
        eprintln!("chaos: seed {}: {difference}", args.seed);
    }
    Ok(ClusterReport {
        mode: "kafka-redis",
        seed: args.seed,
        kills: rounds.faults.values().sum(),
        faults: rounds.faults,
        acked: oracle.acked(),
        lost: verdict.lost,
        doubled: verdict.doubled,
        state_equal: verdict.state_equal,
        state_hashes: verdict.state_hashes,
        requests: shared.requests.load(Ordering::Relaxed),
        asked: front.asked(),
        unanswered: front.unanswered(),
        fresh_after_seconds_max: rounds
            .fresh_after_seconds
            .values()
            .copied()
            .fold(0.0, f64::max),
        fresh_after_seconds: rounds.fresh_after_seconds,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Clients that write all the time, and what they have to be told of.
struct Load {
    seed: u64,
    start_ms: i64,
    opening: Operation,
    ingest: SocketAddr,
}

impl Load {
    /// Fills the catalogue; the clients are to follow.
    fn new(seed: u64, ingest: SocketAddr) -> Result<Self> {
        let start_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
        let opening = workload::opening(start_ms);
        kills::prepare(ingest, &opening)?;
        Ok(Self {
            seed,
            start_ms,
            opening,
            ingest,
        })
    }

    /// Does `work` while clients write; answers with what was acknowledged to them as well.
    fn during<T>(
        &self,
        shared: &Shared,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<(T, Vec<Vec<Operation>>)> {
        shared.set_address(Some(self.ingest));
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| {
                    let workload = Workload::new(self.seed, number, self.start_ms);
                    scope.spawn(move || kills::drive(shared, workload))
                })
                .collect();
            let done = work();
            shared.is_broken.store(done.is_err(), Ordering::SeqCst);
            shared.is_over.store(true, Ordering::SeqCst);
            let journals = clients
                .into_iter()
                .map(|client| client.join().expect("a client does not panic"))
                .collect::<Result<Vec<Vec<Operation>>>>();
            Ok((done?, journals?))
        })
    }

    /// What the acknowledged operations make.
    fn oracle(&self, journals: &[Vec<Operation>]) -> Oracle {
        let mut oracle = Oracle::default();
        oracle.apply(&self.opening);
        let operations = journals.iter().flatten();
        operations.for_each(|operation| oracle.apply(operation));
        oracle
    }
}
