//! A log in memory with readers of five topics, and everything a training needs beside it.

use nowcast_disk::SimFs;
use nowcast_log::{MemoryLog, RecordBatch};
use nowcast_models::seeded::Seeded;
use nowcast_store::{ArtifactStore, Catalog};
use nowcast_training::{TrainerDeps, TrainingConfig};
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{
    Categories, Consent, DeviceClass, Event, EventTypeCode, EventTypes, ItemChange, PartitionId,
    Record, Span, Stream, Timestamp, UserKey,
};
use std::path::Path;
use std::sync::Arc;

pub(crate) const TOPICS: u32 = 5;
/// How long after it was shown in a slot something done with an item came of that.
pub(crate) const WINDOW: Span = Span(1_800_000);
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

/// `item` was shown to `user` in a slot.
pub(crate) fn impression<'a>(user: UserKey, item: &'a str, slot: &'a str, at_s: i64) -> Event<'a> {
    Event {
        event_type: EventTypeCode::IMPRESSION,
        slot: Some(slot),
        ..view(user, item, "", at_s)
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
        attribution_window: WINDOW,
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

/// Appends a list shown to each of `users` behind [`read`], and what they chose of it: every other
/// one, in the slot `topic`, an item of their topic, the others, in the slot `top`, one of five items
/// of which everybody viewed another one just before.
pub(crate) fn choose(world: &World, users: std::ops::Range<u32>) {
    let mut random = Seeded::new(2, u64::from(users.start));
    for number in users {
        let key = user(number);
        let of_topic = random.below(20) as u32 * TOPICS + number % TOPICS;
        let (top, other) = (random.below(5) as u32, random.below(4) as u32);
        let (slot, chosen) = match number % 2 {
            0 => ("topic", of_topic),
            _ => ("top", top),
        };
        let (chosen, before) = (item_name(chosen), item_name((top + 1 + other) % 5));
        let ids = ["before", "chosen"].map(|what| format!("{number}-{what}"));
        let mut batch = RecordBatch::new();
        let viewed = view(key, &before, &ids[0], 1_001_000);
        batch.push(&Record::Event(viewed));
        let shown = impression(key, &chosen, slot, 1_001_010);
        batch.push(&Record::Event(shown));
        let came = view(key, &chosen, &ids[1], 1_001_020);
        batch.push(&Record::Event(came));
        append(world, key.partition(PARTITIONS), batch);
    }
}

pub(crate) fn append(world: &World, partition: PartitionId, batch: RecordBatch) {
    let log = &world.deps.log;
    log.append(Stream::Events, partition, batch).wait().unwrap();
}
