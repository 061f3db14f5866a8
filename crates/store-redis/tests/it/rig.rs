//! A log in memory, a processor on Redis, and the state it must have.

use crate::traffic::Traffic;
use nowcast_features::{FoldConfig, FoldPlan};
use nowcast_log::{ChangeFeed, EventLog, MemoryLog};
use nowcast_services::{RedisCluster, RedisSentinel};
use nowcast_store::{Catalog, Epoch, StateReader, StateStore};
use nowcast_store_redis::{RedisConfig, RedisStore};
use nowcast_stream::{Duty, Epochs, Follow, Processor, ProcessorDeps, PublishingStore, Readiness};
use nowcast_stream::{StreamConfig, replay};
use nowcast_types::{Clock, EventTypes, PartitionId, Span, Stream, Timestamp};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

pub(crate) const PARTITIONS: u16 = 3;
/// Longer than anything takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(240);

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        crate::traffic::START
    }
}

pub(crate) fn plan() -> Arc<FoldPlan> {
    FoldPlan::compile(&FoldConfig::default(), Arc::new(EventTypes::default())).unwrap()
}

pub(crate) fn config(url: &str) -> RedisConfig {
    RedisConfig {
        url: url.to_owned(),
        ..RedisConfig::default()
    }
}

pub(crate) fn open(url: &str) -> RedisStore {
    RedisStore::open(config(url)).unwrap()
}

pub(crate) fn cluster_url(cluster: &RedisCluster) -> String {
    let nodes: Vec<String> = cluster
        .addresses()
        .iter()
        .map(ToString::to_string)
        .collect();
    format!("redis+cluster://{}", nodes.join(","))
}

pub(crate) fn sentinel_url(sentinels: &RedisSentinel) -> String {
    let all = sentinels.sentinel_addresses();
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    let name = nowcast_services::redis::MASTER_NAME;
    format!("redis+sentinel://{}/{name}", all.join(","))
}

/// Calls `is_so` until it is; panics with `what` when patience ends.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// One owner of all partitions.
pub(crate) struct Owner {
    pub(crate) processor: Processor,
    log: Arc<MemoryLog>,
}

pub(crate) fn new_log() -> Arc<MemoryLog> {
    Arc::new(MemoryLog::new(PARTITIONS))
}

pub(crate) fn fill(log: &MemoryLog, traffic: &mut Traffic, batches: u32) {
    for _ in 0..batches {
        let (partition, batch) = traffic.next_batch(PARTITIONS);
        let ack = log.append(Stream::Events, partition, batch);
        ack.wait().unwrap();
    }
}

pub(crate) fn oracle(log: &MemoryLog) -> Vec<u64> {
    let all = replay(log, &plan(), 2, &AtomicU64::new(0)).unwrap();
    all.iter().map(|replayed| replayed.state_hash).collect()
}

impl Owner {
    pub(crate) fn start(log: &Arc<MemoryLog>, store: Arc<dyn StateStore>, epoch: u64) -> Self {
        let deps = ProcessorDeps {
            log: log.clone(),
            checkpoints: store,
            duty: Duty::All(Epochs::same(Epoch(epoch))),
            plan: plan(),
            catalog: Arc::new(Catalog::new()),
            clock: Arc::new(Standing),
        };
        let config = StreamConfig {
            checkpoint_interval: Span(20),
            ..StreamConfig::default()
        };
        Self {
            processor: Processor::start(deps, config).unwrap(),
            log: log.clone(),
        }
    }

    fn ends(&self) -> Vec<u64> {
        let end = |p| self.log.bounds(Stream::Events, PartitionId(p)).unwrap().end;
        (0..PARTITIONS).map(end).collect()
    }

    /// Waits until all of the log is folded and committed.
    pub(crate) fn settle(&self) {
        wait_until("everything is committed", || {
            let readiness = self.processor.readiness();
            assert!(!matches!(readiness, Readiness::Failed(_)), "{readiness:?}");
            self.processor.applied_all() == self.ends()
                && self.processor.durable_all() == self.ends()
        });
    }

    pub(crate) fn wait_live(&self) {
        wait_until("it is live", || {
            let readiness = self.processor.readiness();
            assert!(!matches!(readiness, Readiness::Failed(_)), "{readiness:?}");
            readiness == Readiness::Live
        });
    }
}

/// A processor that folds nothing and follows those who do.
pub(crate) fn follower(
    log: &Arc<MemoryLog>,
    feed: Arc<dyn ChangeFeed>,
    reader: Arc<dyn StateReader>,
) -> Processor {
    let deps = ProcessorDeps {
        log: log.clone(),
        checkpoints: Arc::new(PublishingStore::new(
            Arc::new(open("redis://127.0.0.1:1")),
            feed.clone(),
        )),
        duty: Duty::Follow(Follow {
            feed,
            reader,
            keeps_rows: true,
        }),
        plan: plan(),
        catalog: Arc::new(Catalog::new()),
        clock: Arc::new(Standing),
    };
    Processor::start(deps, StreamConfig::default()).unwrap()
}

/// Whether a new owner, with only what Redis has, comes to the state that the log says.
pub(crate) fn check_stored(log: &Arc<MemoryLog>, store: Arc<dyn StateStore>, epoch: u64) {
    let owner = Owner::start(log, store, epoch);
    owner.wait_live();
    assert_eq!(owner.processor.state_hashes(), oracle(log));
}
