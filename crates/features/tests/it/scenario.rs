//! Logs to fold: hand-written ones and random ones.

use nowcast_features::{FoldConfig, FoldPlan, PartitionState};
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{
    Categories, Consent, DeviceClass, Event, EventTypeCode, EventTypes, Record, SessionKey,
    Timestamp, UserChange, UserKey,
};
use std::sync::Arc;

pub(crate) const START_MS: i64 = 1_700_000_000_000;
pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;

/// A record that owns its strings.
#[derive(Debug, Clone)]
pub(crate) enum Owned {
    Event(OwnedEvent),
    User {
        user: UserKey,
        is_patch: bool,
        segment: Option<String>,
        attributes: Option<String>,
    },
    Erase(UserKey),
}

#[derive(Debug, Clone)]
pub(crate) struct OwnedEvent {
    pub(crate) id: String,
    pub(crate) kind: EventTypeCode,
    pub(crate) user: UserKey,
    pub(crate) session: Option<u64>,
    pub(crate) item: Option<String>,
    pub(crate) at: Timestamp,
    pub(crate) received_at: Timestamp,
    pub(crate) value: Option<f32>,
    pub(crate) device: DeviceClass,
    pub(crate) categories: Vec<String>,
    pub(crate) consent: Consent,
}

pub(crate) fn user(n: u64) -> UserKey {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&stable_hash(&n.to_le_bytes(), 1).to_le_bytes());
    bytes[8..].copy_from_slice(&stable_hash(&n.to_le_bytes(), 2).to_le_bytes());
    UserKey(bytes)
}

/// A click of user 1 on `item`, `at_ms` after the start.
pub(crate) fn click(id: &str, item: &str, at_ms: i64) -> OwnedEvent {
    OwnedEvent {
        id: id.to_owned(),
        kind: EventTypeCode::CLICK,
        user: user(1),
        session: None,
        item: Some(item.to_owned()),
        at: Timestamp(START_MS + at_ms),
        received_at: Timestamp(START_MS + at_ms),
        value: None,
        device: DeviceClass::Mobile,
        categories: vec!["news".to_owned()],
        consent: Consent::ALL,
    }
}

impl OwnedEvent {
    pub(crate) fn by(self, n: u64) -> Self {
        Self {
            user: user(n),
            ..self
        }
    }

    pub(crate) fn kind(self, kind: EventTypeCode) -> Self {
        Self { kind, ..self }
    }

    pub(crate) fn consent(self, consent: Consent) -> Self {
        Self { consent, ..self }
    }

    pub(crate) fn owned(self) -> Owned {
        Owned::Event(self)
    }
}

impl Owned {
    pub(crate) fn record(&self) -> Record<'_> {
        match self {
            Self::Event(event) => Record::Event(event.event()),
            Self::User {
                user,
                is_patch,
                segment,
                attributes,
            } => Record::User(UserChange {
                user: *user,
                at: Timestamp(START_MS),
                is_patch: *is_patch,
                segment: segment.as_deref(),
                attributes: attributes.as_deref(),
            }),
            Self::Erase(user) => Record::Erase {
                user: *user,
                at: Timestamp(START_MS),
            },
        }
    }
}

impl OwnedEvent {
    fn event(&self) -> Event<'_> {
        let mut categories = Categories::new();
        categories.extend(self.categories.iter().map(String::as_str));
        Event {
            event_id: &self.id,
            event_type: self.kind,
            user: self.user,
            session: self.session.map(SessionKey),
            item_id: self.item.as_deref(),
            timestamp: self.at,
            received_at: self.received_at,
            value: self.value,
            slot: Some("home"),
            request_id: None,
            device: self.device,
            location: None,
            utc_offset_minutes: 60,
            categories,
            properties: None,
            consent: self.consent,
            schema_version: 1,
        }
    }
}

/// The default configuration and views of every aggregation and entity on top of it.
pub(crate) fn config() -> FoldConfig {
    let more = r#"
        [[views]]
        name = "item_value_sum"
        entity = "item"
        events = ["dwell", "rating"]
        aggregation = "sum"
        window = "2h"
        slots = 8
        [[views]]
        name = "item_value_min"
        entity = "item"
        events = ["dwell"]
        aggregation = "min"
        window = "1h"
        slots = 4
        [[views]]
        name = "user_value_max"
        entity = "user"
        events = ["dwell"]
        aggregation = "max"
        window = "1h"
        slots = 4
        [[views]]
        name = "user_last_items"
        entity = "user"
        events = ["click", "view"]
        aggregation = "last_k"
        of = "item"
        k = 5
        window = "1d"
        [[views]]
        name = "item_segment_clicks"
        entity = "item_segment"
        events = ["click"]
        aggregation = "count"
        window = "1h"
        slots = 6
        [[views]]
        name = "global_mobile_clicks"
        entity = "global"
        events = ["click"]
        filter = { device = "mobile" }
        aggregation = "count"
        window = "1h"
        slots = 6
        [[views]]
        name = "global_users"
        entity = "global"
        events = ["click", "view"]
        aggregation = "distinct"
        of = "user"
        window = "1h"
        slots = 2
    "#;
    let text = format!("{}\n{more}", nowcast_features::config::DEFAULT_TOML);
    toml::from_str(&text).expect("a valid configuration")
}

pub(crate) fn plan_of(config: &FoldConfig) -> Arc<FoldPlan> {
    FoldPlan::compile(config, Arc::new(EventTypes::default())).expect("a valid configuration")
}

pub(crate) fn plan() -> Arc<FoldPlan> {
    plan_of(&config())
}

/// Folds a log from offset 0, one record at a time.
pub(crate) fn fold(plan: &Arc<FoldPlan>, log: &[Owned]) -> PartitionState {
    let mut state = PartitionState::new(Arc::clone(plan));
    fold_from(&mut state, log);
    state
}

/// Folds the part of a log that the state has not seen, one record at a time.
pub(crate) fn fold_from(state: &mut PartitionState, log: &[Owned]) {
    for offset in state.position()..log.len() as u64 {
        state.apply(offset, &log[offset as usize].record());
        assert!(state.counters().is_balanced());
    }
}

/// Folds `log[from..to]` as one batch.
pub(crate) fn fold_batch(state: &mut PartitionState, log: &[Owned], to: usize) {
    let from = state.position() as usize;
    let records: Vec<_> = (from..to)
        .map(|offset| (offset as u64, log[offset].record()))
        .collect();
    let mut outcomes = Vec::new();
    state.apply_batch(&records, &mut outcomes);
    assert_eq!(outcomes.len(), records.len());
}

pub(crate) fn dump(state: &PartitionState) -> String {
    let mut text = Vec::new();
    state.dump(&mut text).expect("memory takes every byte");
    String::from_utf8(text).expect("a dump is text")
}

/// A stream of numbers that is the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        stable_hash(&self.0.to_le_bytes(), 99) % n
    }
}

/// A random log with everything in it: duplicates, disorder, late events, dislikes, missing
/// consent, user records, erasures, unknown types, several days.
pub(crate) fn random_log(seed: u64, len: usize) -> Vec<Owned> {
    let mut random = Random(seed.wrapping_mul(1_000_003));
    let mut log: Vec<Owned> = Vec::with_capacity(len);
    let mut now_ms = 0;
    for n in 0..len {
        now_ms += random.below(40_000) as i64;
        if random.below(500) == 0 {
            now_ms += 6 * HOUR_MS;
        }
        let who = user(random.below(30));
        log.push(match random.below(100) {
            0..3 if n > 0 => log[random.below(n as u64) as usize].clone(),
            3 => Owned::Erase(who),
            4..6 => Owned::User {
                user: who,
                is_patch: random.below(2) == 0,
                segment: (random.below(3) > 0).then(|| format!("segment-{}", random.below(3))),
                attributes: (random.below(2) > 0).then(|| format!("{{\"a\":{n}}}")),
            },
            _ => Owned::Event(random_event(&mut random, n, who, now_ms)),
        });
    }
    log
}

fn random_event(random: &mut Random, n: usize, who: UserKey, now_ms: i64) -> OwnedEvent {
    let delay_ms = match random.below(20) {
        0 => random.below(3 * HOUR_MS as u64) as i64,
        1..5 => random.below(10 * MINUTE_MS as u64) as i64,
        _ => 0,
    };
    let item = random.below(50) * random.below(50) / 50;
    let consent = match random.below(30) {
        0 => Consent::NONE,
        1 => Consent::TRAIN,
        2 => Consent::PERSONALIZE,
        _ => Consent::ALL,
    };
    OwnedEvent {
        id: format!("e{n}"),
        kind: EventTypeCode([0, 1, 1, 2, 2, 4, 5, 6, 7, 9, 10, 12, 63][random.below(13) as usize]),
        user: who,
        session: (random.below(2) == 0).then(|| random.below(3)),
        item: (random.below(20) > 0).then(|| format!("item-{item}")),
        at: Timestamp(START_MS + now_ms - delay_ms),
        received_at: Timestamp(START_MS + now_ms),
        value: (random.below(3) > 0).then(|| random.below(50_000) as f32 / 10.0),
        device: DeviceClass::ALL[random.below(6) as usize],
        categories: (0..random.below(4))
            .map(|_| format!("category-{}", random.below(25)))
            .collect(),
        consent,
    }
}
