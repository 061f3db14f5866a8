//! Synthetic records as the log would hold them: every field filled that live traffic fills.

use nowcast_log::RecordBatch;
use nowcast_sim::RawEvent;
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{
    Categories, Consent, DeviceClass, Event, EventTypes, Record, SessionKey, Timestamp, UserKey,
};
use std::fmt::Write;

/// Categories of the synthetic catalogue.
const CATEGORIES: [&str; 16] = [
    "astronomy",
    "cooking",
    "history",
    "cycling",
    "gardening",
    "architecture",
    "jazz",
    "sailing",
    "chess",
    "mountains",
    "robotics",
    "crime",
    "poetry",
    "weather",
    "trains",
    "rivers",
];

/// Encodes raw events into batches, keeping its text buffers.
#[derive(Default)]
pub struct RecordWriter {
    types: EventTypes,
    event_id: String,
    item_id: String,
    request_id: String,
}

impl RecordWriter {
    /// Appends `raw` to `batch`.
    pub fn push(&mut self, raw: &RawEvent, batch: &mut RecordBatch) {
        self.event_id.clear();
        self.item_id.clear();
        self.request_id.clear();
        // Writing to a String cannot fail.
        let _ = write!(self.event_id, "e{:016x}", raw.sequence);
        let _ = write!(self.item_id, "i{}", raw.item);
        let _ = write!(self.request_id, "r{:012x}", raw.sequence / 12);
        let mut categories = Categories::new();
        categories.push(CATEGORIES[raw.item as usize % CATEGORIES.len()]);
        let event_type = self
            .types
            .code(raw.event_type())
            .expect("synthetic streams use built-in types");
        let timestamp = Timestamp(raw.timestamp_ms);
        batch.push(&Record::Event(Event {
            event_id: &self.event_id,
            event_type,
            user: user_key(raw.user),
            session: Some(SessionKey(
                u64::from(raw.user) << 20 | (raw.timestamp_ms / 3_600_000) as u64 & 0xf_ffff,
            )),
            item_id: Some(&self.item_id),
            timestamp,
            received_at: timestamp,
            value: None,
            slot: Some("default"),
            request_id: Some(&self.request_id),
            device: DeviceClass::ALL[1 + raw.user as usize % 3],
            location: None,
            utc_offset_minutes: 0,
            categories,
            properties: None,
            consent: Consent::ALL,
            schema_version: nowcast_types::event::SCHEMA_VERSION,
        }));
    }
}

/// A pseudonym for a synthetic user: uniform bits behind key id 1, as the edge would make.
#[must_use]
pub fn user_key(user: u32) -> UserKey {
    let mut bytes = [1_u8; 16];
    let low = stable_hash(&user.to_le_bytes(), 1).to_le_bytes();
    let high = stable_hash(&user.to_le_bytes(), 2).to_le_bytes();
    bytes[1..9].copy_from_slice(&low);
    bytes[9..].copy_from_slice(&high[..7]);
    UserKey(bytes)
}
