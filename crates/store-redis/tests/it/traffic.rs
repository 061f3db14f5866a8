//! Reproducible records: clicks, retries of earlier ones, user records, erasures.

use nowcast_log::RecordBatch;
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{
    Categories, Consent, DeviceClass, Event, EventTypeCode, PartitionId, Record, Timestamp,
    UserChange, UserKey,
};

/// The first event's time.
pub(crate) const START: Timestamp = Timestamp(1_700_000_000_000);

pub(crate) fn user(number: u64) -> UserKey {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&stable_hash(&number.to_le_bytes(), 0).to_le_bytes());
    key[8..].copy_from_slice(&stable_hash(&number.to_le_bytes(), 1).to_le_bytes());
    UserKey(key)
}

/// Endless traffic; time moves on with every record.
pub(crate) struct Traffic {
    seed: u64,
    users: u64,
    at_ms: i64,
}

impl Traffic {
    pub(crate) fn new(seed: u64, users: u64) -> Self {
        Self {
            seed,
            users,
            at_ms: 0,
        }
    }

    fn below(&mut self, n: u64) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        stable_hash(&self.seed.to_le_bytes(), 7) % n
    }

    /// Some records of one user, with the partition they belong to.
    pub(crate) fn next_batch(&mut self, partitions: u16) -> (PartitionId, RecordBatch) {
        let who = user(self.below(self.users));
        let mut batch = RecordBatch::new();
        for _ in 0..=self.below(8) {
            self.at_ms += 500;
            match self.below(40) {
                0 => batch.push(&Record::Erase {
                    user: who,
                    at: START.plus_ms(self.at_ms),
                }),
                1 => batch.push(&Record::User(UserChange {
                    user: who,
                    at: START.plus_ms(self.at_ms),
                    is_patch: true,
                    segment: Some(["a", "b"][self.below(2) as usize]),
                    attributes: Some(r#"{"plan":"free"}"#),
                })),
                _ => self.push_event(&mut batch, who),
            }
        }
        (who.partition(partitions), batch)
    }

    fn push_event(&mut self, batch: &mut RecordBatch, who: UserKey) {
        // One in ten is a retry of an earlier id.
        let back = self.below(10) * u64::from(self.below(10) == 0) * 500;
        let event_id = format!("e{}", self.at_ms - back as i64);
        let item_id = format!("item-{}", self.below(60));
        let mut categories = Categories::new();
        categories.push(["news", "sport", "shoes"][self.below(3) as usize]);
        let timestamp = START.plus_ms(self.at_ms);
        batch.push(&Record::Event(Event {
            event_id: &event_id,
            event_type: EventTypeCode::CLICK,
            user: who,
            session: None,
            item_id: Some(&item_id),
            timestamp,
            received_at: timestamp,
            value: None,
            slot: None,
            request_id: None,
            device: DeviceClass::Mobile,
            location: None,
            utc_offset_minutes: 60,
            categories,
            properties: None,
            consent: Consent::ALL,
            schema_version: 1,
        }));
    }
}
