//! A log in memory with readers of five topics, and everything a training needs beside it.

use nowcast_disk::SimFs;
use nowcast_log::{MemoryLog, RecordBatch};
use nowcast_models::seeded::Seeded;
use nowcast_store::{ArtifactStore, Catalog};
use nowcast_training::{TrainerDeps, TrainingConfig};
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{
    Categories, Consent, DeviceClass, Event, EventTypeCode, EventTypes, ItemChange, PartitionId,
    Record, Stream, Timestamp, UserKey,
};
use std::path::Path;
use std::sync::Arc;

pub(crate) const TOPICS: u32 = 5;
const PARTITIONS: u16 = 2;

/// Uniform bits, as a pseudonym has: deduplication and partitions rely on it.
pub(crate) fn user(number: u32) -> UserKey {
    let mut bytes = [0_u8; 16];
    let bits = stable_hash(&number.to_le_bytes(), 0);
    bytes[1..9].copy_from_slice(&bits.to_le_bytes());
    UserKey(bytes)
}

/// A view of `item` by `user`, with training allowed.
pub(crate) fn view<'a>(user: UserKey, item: &'a str, id: &'a str, at_s: i64) -> Event<'a> {
    Event {
        event_id: id,
        event_type: EventTypeCode::VIEW,
        user,
        session: None,
        item_id: Some(item),
        timestamp: Timestamp::from_seconds(at_s),
        received_at: Timestamp::from_seconds(at_s),
        value: None,
        slot: None,
        request_id: None,
        device: DeviceClass::Unknown,
        location: None,
        utc_offset_minutes: 0,
        categories: Categories::new(),
        properties: None,
        consent: Consent::ALL,
        schema_version: 1,
    }
}

/// What a test holds of the world.
pub(crate) struct World {
    pub(crate) deps: TrainerDeps,
    pub(crate) fs: SimFs,
}

pub(crate) fn config() -> TrainingConfig {
    TrainingConfig {
        interactions_min: 100,
        ..TrainingConfig::default()
    }
}

/// A world without events.
pub(crate) fn empty() -> World {
    let fs = SimFs::new(3);
    let artifacts = ArtifactStore::open(Arc::new(fs.clone()), Path::new("models"), 5).unwrap();
    let catalog = Catalog::new();
    for item in 0..100 {
        let json = format!(r#"{{"categories":["topic {}"]}}"#, item % TOPICS);
        let change = ItemChange {
            item_id: &item_name(item),
            at: Timestamp(0),
            item: Some(&json),
        };
        catalog.apply(&change).unwrap();
    }
    let deps = TrainerDeps {
        log: Arc::new(MemoryLog::new(PARTITIONS)),
        catalog: Arc::new(catalog),
        artifacts: Arc::new(artifacts),
        types: Arc::new(EventTypes::default()),
    };
    World { deps, fs }
}

pub(crate) fn item_name(item: u32) -> String {
    format!("item-{item}")
}

/// Appends 10 views by each of `users`, all of the topic that is their number modulo five.
pub(crate) fn read(world: &World, users: std::ops::Range<u32>) {
    let mut random = Seeded::new(1, u64::from(users.start));
    for number in users {
        let key = user(number);
        let mut batch = RecordBatch::new();
        for step in 0..10 {
            let item = item_name(random.below(20) as u32 * TOPICS + number % TOPICS);
            let id = format!("{number}-{step}");
            let event = view(key, &item, &id, 1_000_000 + 60 * step);
            batch.push(&Record::Event(event));
        }
        append(world, key.partition(PARTITIONS), batch);
    }
}

pub(crate) fn append(world: &World, partition: PartitionId, batch: RecordBatch) {
    let log = &world.deps.log;
    log.append(Stream::Events, partition, batch).wait().unwrap();
}
