//! Reproducible records: retries, shuffled and late arrivals, user records, erasures, consent.

use nowcast_log::RecordBatch;
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{
    Categories, Consent, DeviceClass, Event, EventTypeCode, PartitionId, Record, SessionKey,
    Timestamp, UserChange, UserKey,
};

/// The first event's time.
pub(crate) const START: Timestamp = Timestamp(1_700_000_000_000);
const USERS: u64 = 40;
const ITEMS: u64 = 30;
const HOUR_MS: i64 = 3_600_000;

/// A reproducible source of choices (SplitMix64).
pub(crate) struct Choices(pub(crate) u64);

impl Choices {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

pub(crate) fn user(number: u64) -> UserKey {
    // Pseudonyms are uniform, and the fold relies on it.
    let mut key = [0; 16];
    key[1..9].copy_from_slice(&stable_hash(&number.to_le_bytes(), 0).to_le_bytes());
    key[8..16].copy_from_slice(&stable_hash(&number.to_le_bytes(), 1).to_le_bytes());
    UserKey(key)
}

/// A click of a user on an item, with nothing special about it.
pub(crate) fn click<'a>(
    event_id: &'a str,
    user: UserKey,
    item_id: &'a str,
    at_ms: i64,
) -> Event<'a> {
    Event {
        event_id,
        event_type: EventTypeCode::CLICK,
        user,
        session: None,
        item_id: Some(item_id),
        timestamp: START.plus_ms(at_ms),
        received_at: START.plus_ms(at_ms),
        value: None,
        slot: None,
        request_id: None,
        device: DeviceClass::Mobile,
        location: None,
        utc_offset_minutes: 60,
        categories: Categories::new(),
        properties: None,
        consent: Consent::ALL,
        schema_version: 1,
    }
}

/// Endless traffic; time moves on with every event.
pub(crate) struct Traffic {
    choices: Choices,
    sent: u64,
}

impl Traffic {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            choices: Choices(seed),
            sent: 0,
        }
    }

    /// The next few records of one user's partition, as the edge would append them.
    pub(crate) fn next_batch(&mut self, partitions: u16) -> (PartitionId, RecordBatch) {
        let partition = PartitionId(self.choices.below(u64::from(partitions)) as u16);
        let mut batch = RecordBatch::new();
        for _ in 0..=self.choices.below(8) {
            let user = loop {
                let user = user(self.choices.below(USERS));
                if user.partition(partitions) == partition {
                    break user;
                }
            };
            self.push(&mut batch, user);
        }
        (partition, batch)
    }

    fn push(&mut self, batch: &mut RecordBatch, user: UserKey) {
        self.sent += 1;
        let at_ms = self.sent as i64 * 20_000;
        match self.choices.below(40) {
            0 => batch.push(&Record::Erase {
                user,
                at: START.plus_ms(at_ms),
            }),
            1 | 2 => batch.push(&Record::User(UserChange {
                user,
                at: START.plus_ms(at_ms),
                is_patch: self.choices.below(2) == 0,
                segment: Some(["free", "premium"][self.choices.below(2) as usize]),
                attributes: None,
            })),
            _ => self.push_event(batch, user, at_ms),
        }
    }

    fn push_event(&mut self, batch: &mut RecordBatch, user: UserKey, at_ms: i64) {
        // One event in ten repeats an id that some earlier event had.
        let is_retry = self.sent > 20 && self.choices.below(10) == 0;
        let number = self.sent - if is_retry { self.choices.below(20) } else { 0 };
        let event_id = format!("event-{number}");
        let item_id = format!("item-{}", self.choices.below(ITEMS));
        let category = format!("category-{}", self.choices.below(5));
        let delay_ms = match self.choices.below(20) {
            0 => 5 * HOUR_MS,
            1..=5 => self.choices.below(HOUR_MS as u64) as i64,
            _ => 0,
        };
        let mut event = click(&event_id, user, &item_id, at_ms);
        event.timestamp = event.timestamp.plus_ms(-delay_ms);
        event.event_type = [
            EventTypeCode::VIEW,
            EventTypeCode::CLICK,
            EventTypeCode::IMPRESSION,
            EventTypeCode::DWELL,
            EventTypeCode::DISLIKE,
        ][self.choices.below(5) as usize];
        event.value = (event.event_type == EventTypeCode::DWELL).then_some(12_345.0);
        event.session = (self.choices.below(3) == 0).then(|| SessionKey(self.choices.below(4)));
        event.categories.push(&category);
        if self.choices.below(15) == 0 {
            event.consent = Consent::TRAIN;
        }
        batch.push(&Record::Event(event));
    }
}
