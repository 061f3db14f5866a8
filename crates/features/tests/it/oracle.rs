//! The fold against a slow and obvious one: histories, sessions' counts and windowed counts from
//! the list of all accepted events.

use crate::scenario::{Owned, OwnedEvent, config, fold, plan, random_log};
use nowcast_features::{Entity, FeatureValue, FoldPlan, PartitionState};
use nowcast_types::{Consent, EventTypeCode, EventTypes, Timestamp, UserKey};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};

/// What an obvious fold accepts, by user and by item.
#[derive(Default)]
struct Oracle {
    seen: HashSet<(UserKey, String)>,
    watermark_ms: Option<i64>,
    of_user: BTreeMap<UserKey, Vec<OwnedEvent>>,
    of_item: BTreeMap<String, Vec<OwnedEvent>>,
    duplicate: u64,
    late: u64,
}

impl Oracle {
    fn apply(&mut self, record: &Owned, types: &EventTypes) {
        let event = match record {
            Owned::Event(event) => event,
            Owned::Erase(user) => {
                self.of_user.remove(user);
                return;
            }
            Owned::User { user, .. } => {
                self.of_user.entry(*user).or_default();
                return;
            }
        };
        if types.get(event.kind).is_none() {
            return;
        }
        // The logs here are shorter than the dedup horizon allows to forget in one direction only:
        // an id forgotten by the fold is late by then, and so is it here.
        let is_late = self
            .watermark_ms
            .is_some_and(|ms| ms - event.at.0 > 3_600_000);
        if !self.seen.insert((event.user, event.id.clone())) {
            if is_late {
                self.late += 1;
            } else {
                self.duplicate += 1;
            }
            return;
        }
        let believable = event.at.0.min(event.received_at.0 + 300_000);
        self.watermark_ms = Some(
            self.watermark_ms
                .map_or(believable, |ms| ms.max(believable)),
        );
        if is_late {
            self.late += 1;
            return;
        }
        if event.consent.allows(Consent::PERSONALIZE) {
            self.of_user
                .entry(event.user)
                .or_default()
                .push(event.clone());
        }
        if let (true, Some(item)) = (event.consent.allows(Consent::TRAIN), &event.item) {
            self.of_item
                .entry(item.clone())
                .or_default()
                .push(event.clone());
        }
    }

    fn check(&self, state: &PartitionState, plan: &FoldPlan, types: &EventTypes) {
        assert_eq!(
            state.counters().duplicate + state.counters().late,
            self.duplicate + self.late
        );
        assert_eq!(state.users_len(), self.of_user.len());
        for (key, events) in &self.of_user {
            let user = state.user(key).expect("the oracle knows the user");
            let mut expected: Vec<_> = events
                .iter()
                .filter(|e| types.get(e.kind).is_some_and(|def| def.weight != 0.0))
                .filter_map(|e| Some((e.at.seconds_u32(), e.item.clone()?, e.kind)))
                .collect();
            expected.sort_by_key(|e| e.0);
            let found: Vec<_> = user
                .history()
                .iter()
                .map(|e| (e.time_s, state.item_id(e.item).to_owned(), e.event_type))
                .collect();
            assert_eq!(found, expected[expected.len().saturating_sub(200)..]);
        }
        let as_of = state.watermark();
        for (item, events) in &self.of_item {
            let id = state.find_item(item).expect("the oracle knows the item");
            let n = |kind: EventTypeCode, slot_s: u32, slots: u32| {
                let slot = as_of.seconds_u32() / slot_s;
                let times = events
                    .iter()
                    .filter(|e| e.kind == kind)
                    .map(|e| e.at.seconds_u32());
                times
                    .filter(|t| t / slot_s <= slot && t / slot_s + slots > slot)
                    .count() as f64
            };
            let clicks = number(state, plan, "item_clicks_10m", id, as_of);
            assert_eq!(clicks, n(EventTypeCode::CLICK, 120, 5), "clicks of {item}");
            let (clicks, shown) = (
                n(EventTypeCode::CLICK, 600, 6),
                n(EventTypeCode::IMPRESSION, 600, 6),
            );
            let rate = number(state, plan, "item_ctr_1h", id, as_of);
            if clicks + shown > 0.0 {
                assert_eq!(rate, (clicks + 1.5) / (shown + 50.0), "rate of {item}");
            }
        }
    }
}

fn number(
    state: &PartitionState,
    plan: &FoldPlan,
    view: &str,
    item: nowcast_features::LocalItem,
    as_of: Timestamp,
) -> f64 {
    use nowcast_features::aggregations::AggregateValue;
    let view = plan.find_view(view).expect("configured");
    let Some(partial) = state.partial(view, &Entity::Item(item), as_of) else {
        return 0.0;
    };
    match plan.partial_value(view, &partial, as_of) {
        AggregateValue::Number(number) => number,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn histories_and_windows_equal_the_obvious_fold(seed in any::<u64>(), len in 1_usize..1_500) {
        let plan = plan();
        let types = EventTypes::default();
        let log = random_log(seed, len);
        let mut oracle = Oracle::default();
        log.iter().for_each(|record| oracle.apply(record, &types));
        oracle.check(&fold(&plan, &log), &plan, &types);
    }
}

#[test]
fn features_of_users_are_reported_in_the_order_of_the_configuration() {
    let plan = plan();
    let state = fold(&plan, &random_log(1, 400));
    let key = state.user_keys().next().expect("the log has users");
    let features = state.user(&key).expect("known").features(state.watermark());
    let names: Vec<_> = features
        .iter()
        .map(|(id, _)| plan.view(*id).unwrap().name())
        .collect();
    let expected: Vec<_> = config()
        .views
        .iter()
        .filter(|view| view.entity == nowcast_features::EntityKind::User)
        .map(|view| view.name.clone())
        .collect();
    assert_eq!(names, expected);
    assert!(
        features
            .iter()
            .any(|(_, value)| matches!(value, FeatureValue::Ranked(_)))
    );
}
