//! How fast one core folds, against a hand-written loop of two decayed counters per event.
//!
//! `cargo run --release -p nowcast-features --example fold -- [events] [users] [items]` prints
//! JSON objects: events per CPU second of the whole fold (dedup, history, sessions, affinity,
//! co-visitation, ten views) and of the loop, in interleaved rounds over the same synthetic log;
//! then how long a full checkpoint takes to write and to restore, and the bytes of the state.
//! Users are uniform over a Zipf half, items Zipf(1.05); a warm-up round fills the state first.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use hashbrown::HashMap;
use nowcast_features::{FoldConfig, FoldPlan, PartitionState};
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{
    Categories, Consent, DeviceClass, Event, EventTypeCode, EventTypes, Record, SessionKey,
    Timestamp, UserKey,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS: usize = 8;
const START_MS: i64 = 1_700_000_000_000;

struct Stored {
    id: String,
    item: u32,
    user: UserKey,
    kind: EventTypeCode,
    at: Timestamp,
    value: Option<f32>,
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        stable_hash(&self.0.to_le_bytes(), 7)
    }
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
    /// Close to Zipf with exponent 1.05, by inverting the continuous distribution.
    fn zipf(&mut self, n: usize) -> usize {
        let s = -0.05_f64;
        let top = (n as f64).powf(s);
        let x = (1.0 + self.unit() * (top - 1.0)).powf(1.0 / s);
        (x as usize - 1).min(n - 1)
    }
}

fn user_key(n: usize) -> UserKey {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&stable_hash(&n.to_le_bytes(), 1).to_le_bytes());
    bytes[8..].copy_from_slice(&stable_hash(&n.to_le_bytes(), 2).to_le_bytes());
    UserKey(bytes)
}

fn synthetic(events: usize, users: usize, items: usize) -> Vec<Stored> {
    let mut random = Random(1);
    (0..events)
        .map(|n| {
            let user = if random.unit() < 0.5 {
                random.zipf(users)
            } else {
                random.next() as usize % users
            };
            let (kind, value) = match random.next() % 10 {
                0..4 => (EventTypeCode::IMPRESSION, None),
                4..7 => (EventTypeCode::VIEW, None),
                7..9 => (EventTypeCode::CLICK, None),
                _ => (EventTypeCode::DWELL, Some((random.next() % 60_000) as f32)),
            };
            Stored {
                id: format!("evt-{n:012x}"),
                item: random.zipf(items) as u32,
                user: user_key(user),
                kind,
                at: Timestamp(START_MS + (n as i64) * 2),
                value,
            }
        })
        .collect()
}

fn record<'a>(stored: &'a Stored, items: &'a [String], categories: &'a [String]) -> Record<'a> {
    let item = stored.item as usize;
    let mut of_item = Categories::new();
    of_item.push(&categories[item % categories.len()]);
    of_item.push(&categories[item / 7 % categories.len()]);
    Record::Event(Event {
        event_id: &stored.id,
        event_type: stored.kind,
        user: stored.user,
        session: Some(SessionKey(stored.user.bits())),
        item_id: Some(&items[item]),
        timestamp: stored.at,
        received_at: stored.at,
        value: stored.value,
        slot: Some("home"),
        request_id: None,
        device: DeviceClass::Mobile,
        location: None,
        utc_offset_minutes: 0,
        categories: of_item,
        properties: None,
        consent: Consent::ALL,
        schema_version: 1,
    })
}

/// The loop to compare with: the same records, one decayed counter per user and one per item.
#[derive(Default)]
struct HandLoop<'a> {
    users: HashMap<UserKey, (f32, i64)>,
    items: HashMap<&'a str, (f32, i64)>,
}

impl<'a> HandLoop<'a> {
    fn apply(&mut self, record: &Record<'a>) {
        let Record::Event(event) = record else { return };
        let now = event.timestamp.0;
        let decay = |(sum, at): &mut (f32, i64)| {
            let age_h = (now - *at) as f32 / 3_600_000.0;
            *sum = *sum * (-age_h).exp2() + 1.0;
            *at = now;
        };
        decay(self.users.entry(event.user).or_insert((0.0, now)));
        if let Some(item) = event.item_id {
            decay(self.items.entry(item).or_insert((0.0, now)));
        }
    }
}

/// CPU time of this thread: what counts per core on a machine that others use too. Falls back to
/// the wall clock where the kernel does not tell.
fn cpu_time(began: Instant) -> Duration {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .map_or_else(|| began.elapsed(), Duration::from_nanos)
}

fn main() {
    let mut args = std::env::args()
        .skip(1)
        .map(|text| text.parse::<usize>().unwrap());
    let events = args.next().unwrap_or(2_000_000);
    let users = args.next().unwrap_or(200_000);
    let items = args.next().unwrap_or(40_000);
    let log = synthetic(events, users, items);
    let ids: Vec<String> = (0..items).map(|n| format!("item-{n:06}")).collect();
    let categories: Vec<String> = (0..64).map(|n| format!("category-{n}")).collect();
    let plan = FoldPlan::compile(&FoldConfig::default(), Arc::new(EventTypes::default())).unwrap();
    let mut state = PartitionState::new(plan);
    let mut hand = HandLoop::default();
    let (mut fold_s, mut hand_s, mut measured) = (0.0, 0.0, 0);
    let mut offset = 0;
    let mut outcomes = Vec::new();
    let began = Instant::now();
    for (round, part) in log.chunks(events.div_ceil(ROUNDS)).enumerate() {
        let records: Vec<_> = part
            .iter()
            .map(|stored| {
                offset += 1;
                (offset - 1, record(stored, &ids, &categories))
            })
            .collect();
        let before = cpu_time(began);
        for batch in records.chunks(256) {
            outcomes.clear();
            state.apply_batch(batch, &mut outcomes);
        }
        let between = cpu_time(began);
        records.iter().for_each(|(_, record)| hand.apply(record));
        let fold_round_s = (between - before).as_secs_f64();
        let hand_round_s = (cpu_time(began) - between).as_secs_f64();
        if round > 0 {
            fold_s += fold_round_s;
            hand_s += hand_round_s;
            measured += part.len();
        }
    }
    let (fold, hand) = (measured as f64 / fold_s, measured as f64 / hand_s);
    println!(
        "{{\"events_per_second_per_core\":{fold:.0},\
         \"baseline_events_per_second_per_core\":{hand:.0},\"ratio\":{:.3},\"users\":{},\
         \"items\":{},\"state_bytes\":{},\"state_hash\":\"{:016x}\"}}",
        fold / hand,
        state.users_len(),
        state.items_len(),
        state.state_bytes(),
        state.state_hash(),
    );
    let mut full = Vec::new();
    let before = cpu_time(began);
    state.encode_full(&mut full);
    let between = cpu_time(began);
    let plan = Arc::clone(state.plan());
    let restored = PartitionState::restore(plan, &[&full]).unwrap();
    let after = cpu_time(began);
    assert_eq!(restored.state_hash(), state.state_hash());
    println!(
        "{{\"checkpoint_bytes\":{},\"encode_seconds\":{:.3},\"restore_seconds\":{:.3}}}",
        full.len(),
        (between - before).as_secs_f64(),
        (after - between).as_secs_f64(),
    );
    for (part, bytes) in state.state_bytes_by_part() {
        println!("{{\"part\":\"{part}\",\"bytes\":{bytes}}}");
    }
}
