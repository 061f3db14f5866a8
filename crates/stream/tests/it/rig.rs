//! A log, stores and a processor over one simulated disk, opened and closed at will.

use nowcast_disk::SimFs;
use nowcast_features::{FoldConfig, FoldPlan};
use nowcast_log::{EmbeddedLog, EventLog, LogConfig, RecordBatch};
use nowcast_store::{Catalog, CheckpointConfig, CheckpointStore};
use nowcast_stream::{Duty, Epochs, Processor, ProcessorDeps, Readiness, StreamConfig, replay};
use nowcast_types::{
    ByteSize, Clock, EventTypes, ItemChange, Offset, PartitionId, Record, Span, Stream, Timestamp,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

pub(crate) const PARTITIONS: u16 = 3;
/// Longer than anything takes on a loaded machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A clock that stands still.
pub(crate) struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        crate::traffic::START
    }
}

pub(crate) fn fold_plan(config: &FoldConfig) -> Arc<FoldPlan> {
    FoldPlan::compile(config, Arc::new(EventTypes::default())).unwrap()
}

pub(crate) fn log_config() -> LogConfig {
    LogConfig {
        segment_bytes: ByteSize(64 << 10),
        segments_spare_max: 1,
        ..LogConfig::default()
    }
}

pub(crate) fn checkpoint_config() -> CheckpointConfig {
    CheckpointConfig {
        deltas_max: 3,
        ..CheckpointConfig::default()
    }
}

/// Checkpoints as often as the disk allows.
pub(crate) fn eager() -> StreamConfig {
    StreamConfig {
        checkpoint_interval: Span(1),
        ..StreamConfig::default()
    }
}

/// Checkpoints only when stopping.
pub(crate) fn lazy() -> StreamConfig {
    StreamConfig {
        checkpoint_interval: Span(3_600_000),
        ..StreamConfig::default()
    }
}

/// What one life of the process has open. Fields drop in order: the processor stops first.
pub(crate) struct Rig {
    pub(crate) processor: Processor,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) catalog: Arc<Catalog>,
}

impl Rig {
    pub(crate) fn open(
        fs: &SimFs,
        config: StreamConfig,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let log = EmbeddedLog::open(
            Arc::new(fs.clone()),
            Path::new("log"),
            log_config(),
            PARTITIONS,
        )?;
        Self::over(
            Arc::new(log),
            fs,
            config,
            &fold_plan(&FoldConfig::default()),
        )
    }

    pub(crate) fn over(
        log: Arc<dyn EventLog>,
        fs: &SimFs,
        config: StreamConfig,
        plan: &Arc<FoldPlan>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let dir = Path::new("checkpoints");
        let store = CheckpointStore::open(Arc::new(fs.clone()), dir, checkpoint_config())?;
        let catalog = Arc::new(Catalog::new());
        let deps = ProcessorDeps {
            log: log.clone(),
            checkpoints: Arc::new(store),
            duty: Duty::All(Epochs::default()),
            plan: plan.clone(),
            catalog: catalog.clone(),
            clock: Arc::new(Standing),
        };
        Ok(Self {
            processor: Processor::start(deps, config)?,
            log,
            catalog,
        })
    }

    pub(crate) fn append(&self, partition: PartitionId, batch: RecordBatch) -> Offset {
        let ack = self.log.append(Stream::Events, partition, batch);
        ack.wait().unwrap().end
    }

    pub(crate) fn append_one(&self, record: &Record<'_>) -> (PartitionId, Offset) {
        let partition = record.user().unwrap().partition(PARTITIONS);
        let mut batch = RecordBatch::new();
        batch.push(record);
        (partition, self.append(partition, batch) - 1)
    }

    pub(crate) fn put_item(&self, item_id: &str, item: Option<&str>) -> Offset {
        let mut batch = RecordBatch::new();
        batch.push(&Record::Item(ItemChange {
            item_id,
            at: crate::traffic::START,
            item,
        }));
        let ack = self.log.append(Stream::Catalog, PartitionId(0), batch);
        ack.wait().unwrap().start
    }

    pub(crate) fn ends(&self) -> Vec<Offset> {
        let end = |p| self.log.bounds(Stream::Events, PartitionId(p)).unwrap().end;
        (0..PARTITIONS).map(end).collect()
    }

    /// Waits until everything in the log is folded; the reason if it cannot be.
    pub(crate) fn settle(&self) -> Result<(), String> {
        block_on(async {
            let deadline = Instant::now() + PATIENCE;
            for (p, end) in (0..).zip(self.ends()) {
                if let Some(last) = end.checked_sub(1) {
                    let partition = PartitionId(p);
                    if !self.processor.wait_applied(partition, last, deadline).await {
                        return Err(format!("{:?}", self.processor.readiness()));
                    }
                }
            }
            let catalog_end = self
                .log
                .bounds(Stream::Catalog, PartitionId(0))
                .unwrap()
                .end;
            if let Some(last) = catalog_end.checked_sub(1)
                && !self.processor.wait_catalog_applied(last, deadline).await
            {
                return Err(format!("{:?}", self.processor.readiness()));
            }
            Ok(())
        })
    }

    /// Waits until all partitions have left the phases before live, and says where they are.
    pub(crate) fn wait_ready(&self) -> Readiness {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.processor.readiness() {
                Readiness::Restoring | Readiness::Replaying { .. } if Instant::now() < deadline => {
                    std::thread::yield_now();
                }
                readiness => return readiness,
            }
        }
    }

    /// The hashes of a fresh fold of the whole log.
    pub(crate) fn oracle(&self) -> Vec<u64> {
        let plan = self.processor.plan();
        let all = replay(&*self.log, plan, 2, &AtomicU64::new(0)).unwrap();
        all.iter().map(|replayed| replayed.state_hash).collect()
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let mut runtime = runtime;
    runtime.enable_time().build().unwrap().block_on(future)
}
