//! Bytes per user and item, as the allocator counts them.

use crate::kernels::held_bytes;
use crate::scenario::{Random, click};
use nowcast_features::{FoldConfig, FoldPlan, PartitionState};
use nowcast_types::{EventTypeCode, EventTypes};
use std::sync::Arc;

const USERS: u64 = 4_000;
const ITEMS: u64 = 1_000;
const HISTORY: u64 = 50;

#[test]
fn a_user_with_fifty_items_takes_less_than_a_kibibyte() {
    let plan = FoldPlan::compile(&FoldConfig::default(), Arc::new(EventTypes::default())).unwrap();
    let mut random = Random(3);
    let before = held_bytes();
    let mut state = PartitionState::new(plan);
    let mut offset = 0;
    for round in 0..HISTORY {
        for n in 0..USERS {
            let item = random.below(ITEMS);
            let kind = [EventTypeCode::VIEW, EventTypeCode::CLICK][(round % 2) as usize];
            let at_ms = (offset as i64) * 400;
            let mut event = click(&format!("e{offset}"), &format!("item-{item}"), at_ms).kind(kind);
            event.categories = vec![format!("category-{}", item % 12)];
            state.apply(offset, &event.by(n).owned().record());
            offset += 1;
        }
    }
    // What is in no checkpoint yet is held only until the next one.
    let mut delta = Vec::new();
    state.encode_delta(&mut delta);
    drop(delta);
    let held = (held_bytes() - before) as u64;
    let part = |name: &str| {
        let parts = state.state_bytes_by_part();
        parts
            .iter()
            .find(|part| part.0 == name)
            .map_or(0, |part| part.1)
    };
    let users = state.users_len() as u64;
    let items = u64::from(state.items_len());
    assert_eq!((users, items), (USERS, ITEMS));
    // Everything that is not an item belongs to the users: history, profile, index, slack.
    let beyond_items = held.saturating_sub(part("items") + part("dedup"));
    assert!(
        beyond_items / users <= 1_024,
        "{} bytes a user",
        beyond_items / users
    );
    assert!(
        part("items") / items <= 2_048,
        "{} bytes an item",
        part("items") / items
    );
    let accounted = state.state_bytes();
    assert!(
        held < accounted + accounted / 5,
        "held {held}, accounted {accounted}"
    );
}
