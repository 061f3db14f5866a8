//! How long a restart takes until everybody is personalized again, by size of the state.
//!
//! `cargo run --release -p nowcast-stream --example restart -- [users]` folds 50 interactions of
//! each user, writes one full checkpoint and three deltas per partition to a temporary folder, and
//! starts a processor over them. The log is not part of the measurement: it has nothing to replay.

use nowcast_disk::StdFs;
use nowcast_features::{FoldConfig, FoldPlan, PartitionState};
use nowcast_log::{AppendAck, Bounds, EventLog, LogError, RecordBatch, StoredBatch};
use nowcast_store::{Catalog, ChainId, CheckpointConfig, CheckpointStore};
use nowcast_stream::{Duty, Epochs, Processor, ProcessorDeps, Readiness, StreamConfig};
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{
    ByteSize, Categories, Clock, Consent, DeviceClass, Event, EventTypeCode, EventTypes, Offset,
    PartitionId, Record, Stream, Timestamp, UserKey,
};
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PARTITIONS: u16 = 4;
const ITEMS: u64 = 40_000;
const EVENTS_PER_USER: u64 = 50;
const START_MS: i64 = 1_700_000_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let users: u64 = std::env::args().nth(1).map_or(Ok(300_000), |n| n.parse())?;
    let dir = tempfile::tempdir()?;
    let mut config = FoldConfig {
        state_bytes_max: ByteSize(64 << 30),
        ..FoldConfig::default()
    };
    // Most of the fold's time and next to nothing of the state, which is users here.
    config.covisit.recent_items = 0;
    let plan = FoldPlan::compile(&config, Arc::new(EventTypes::default()))?;
    let mut ends = Vec::new();
    let mut state_bytes = 0;
    for partition in (0..PARTITIONS).map(PartitionId) {
        let (end, bytes) = write_partition(dir.path(), &plan, partition, users)?;
        ends.push(end);
        state_bytes += bytes;
    }
    let peak_before_mb = peak_rss_mb();
    let file_bytes = folder_bytes(dir.path())?;
    let started = Instant::now();
    let processor = start(dir.path(), &plan, ends)?;
    let start_ms = started.elapsed().as_secs_f64() * 1_000.0;
    while processor.readiness() != Readiness::Live {
        if let Readiness::Failed(reason) = processor.readiness() {
            return Err(reason.into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let live_s = started.elapsed().as_secs_f64();
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{{\"users\":{users},\"state_mb\":{},\"file_mb\":{},\"start_ms\":{start_ms:.1},\
         \"personalized_s\":{live_s:.2},\"peak_rss_mb\":{},\"peak_rss_before_mb\":{peak_before_mb}}}",
        state_bytes >> 20,
        file_bytes >> 20,
        peak_rss_mb(),
    )?;
    Ok(())
}

/// Folds one partition's users, with checkpoints at 70, 80, 90 and 100 percent of the events.
fn write_partition(
    dir: &Path,
    plan: &Arc<FoldPlan>,
    partition: PartitionId,
    users: u64,
) -> Result<(Offset, u64), Box<dyn Error>> {
    let store = CheckpointStore::open(Arc::new(StdFs), dir, CheckpointConfig::default())?;
    let chain = ChainId::events(partition);
    store.recovery(chain)?.accept(None);
    let mut state = PartitionState::new(plan.clone());
    let mut random = 1_u64;
    for round in 0..EVENTS_PER_USER {
        for number in (u64::from(partition.0)..users).step_by(usize::from(PARTITIONS)) {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let at = Timestamp(START_MS + (round * 3_600_000) as i64);
            let skewed = ((random >> 33) * (random >> 33)) >> 31;
            let item_id = format!("item-{}", (skewed * ITEMS) >> 31);
            let event_id = format!("{number}-{round}");
            let event = event(&event_id, number, &item_id, at);
            state.apply(state.position(), &Record::Event(event));
        }
        let mut blob = Vec::new();
        match round * 100 / EVENTS_PER_USER {
            70 => {
                state.take_changes();
                state.encode_full(&mut blob);
                store.append_full(chain, state.position(), &[&blob])?;
            }
            80 | 90 | 98 => {
                state.encode_delta(&mut blob);
                store.append_delta(chain, state.position(), &blob)?;
            }
            _ => {}
        }
    }
    Ok((state.position(), state.state_bytes()))
}

fn event<'a>(event_id: &'a str, user: u64, item_id: &'a str, at: Timestamp) -> Event<'a> {
    // Pseudonyms are uniform, and the fold relies on it.
    let mut key = [0; 16];
    key[1..9].copy_from_slice(&stable_hash(&user.to_le_bytes(), 0).to_le_bytes());
    key[8..16].copy_from_slice(&stable_hash(&user.to_le_bytes(), 1).to_le_bytes());
    let mut categories = Categories::new();
    categories.push(["news", "sport", "film", "music"][(user % 4) as usize]);
    Event {
        event_id,
        event_type: EventTypeCode::CLICK,
        user: UserKey(key),
        session: None,
        item_id: Some(item_id),
        timestamp: at,
        received_at: at,
        value: None,
        slot: None,
        request_id: None,
        device: DeviceClass::Mobile,
        location: None,
        utc_offset_minutes: 0,
        categories,
        properties: None,
        consent: Consent::ALL,
        schema_version: 1,
    }
}

fn start(dir: &Path, plan: &Arc<FoldPlan>, ends: Vec<Offset>) -> Result<Processor, Box<dyn Error>> {
    let config = CheckpointConfig::default();
    let checkpoints = CheckpointStore::open(Arc::new(StdFs), dir, config)?;
    let deps = ProcessorDeps {
        log: Arc::new(CaughtUp { ends }),
        checkpoints: Arc::new(checkpoints),
        duty: Duty::All(Epochs::default()),
        plan: plan.clone(),
        catalog: Arc::new(Catalog::new()),
        clock: Arc::new(Standing),
    };
    Ok(Processor::start(deps, StreamConfig::default())?)
}

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp(START_MS)
    }
}

/// A log that ends where the checkpoints do.
struct CaughtUp {
    ends: Vec<Offset>,
}

impl EventLog for CaughtUp {
    fn append(&self, _: Stream, _: PartitionId, _: RecordBatch) -> AppendAck {
        AppendAck::ready(Err(LogError::BadBatch("this log only ends".to_owned())))
    }

    fn read(
        &self,
        _: Stream,
        _: PartitionId,
        _: Offset,
        _: usize,
    ) -> Result<Vec<StoredBatch>, LogError> {
        Ok(Vec::new())
    }

    fn bounds(&self, stream: Stream, partition: PartitionId) -> Result<Bounds, LogError> {
        let ends = if stream == Stream::Events {
            &self.ends[..]
        } else {
            &[]
        };
        let end = ends.get(usize::from(partition.0)).copied().unwrap_or(0);
        Ok(Bounds { earliest: 0, end })
    }

    fn wait_beyond(&self, _: Stream, _: PartitionId, _: Offset, timeout: Duration) -> bool {
        std::thread::sleep(timeout);
        false
    }

    fn protect(&self, _: Stream, _: PartitionId, _: Offset) -> Result<(), LogError> {
        Ok(())
    }

    fn truncate_before(&self, _: Stream, _: PartitionId, _: Offset) -> Result<(), LogError> {
        Ok(())
    }

    fn partitions(&self, stream: Stream) -> u16 {
        stream.partitions(self.ends.len() as u16)
    }
}

fn folder_bytes(dir: &Path) -> Result<u64, Box<dyn Error>> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            folder_bytes(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}

/// The process's largest resident size so far; 0 where the system does not tell.
fn peak_rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kb = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kb.unwrap_or(0) / 1024
}
