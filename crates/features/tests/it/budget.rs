//! The byte budget.

use crate::scenario::{Owned, click, config, dump, fold, fold_from, plan_of, random_log};
use nowcast_features::PartitionState;
use nowcast_types::ByteSize;
use proptest::prelude::*;
use std::sync::Arc;

const BUDGET: u64 = 96 << 10;

fn many_users() -> Vec<Owned> {
    let mut log = random_log(11, 500);
    for n in 0..6_000_i64 {
        let item = format!("item-{}", n % 40);
        // User 1000 is always active, the others come and go.
        let who = if n % 5 == 0 {
            1_000
        } else {
            100 + n as u64 / 4
        };
        log.push(
            click(&format!("c{n}"), &item, 4_000_000_000 + n * 1_000)
                .by(who)
                .owned(),
        );
    }
    log
}

fn small() -> Arc<nowcast_features::FoldPlan> {
    let mut config = config();
    config.state_bytes_max = ByteSize(BUDGET);
    config.dedup_entries_max = 500;
    plan_of(&config)
}

#[test]
fn the_budget_holds_after_every_record_and_the_active_stay() {
    let log = many_users();
    let mut state = PartitionState::new(small());
    for (offset, record) in log.iter().enumerate() {
        state.apply(offset as u64, &record.record());
        assert!(
            state.state_bytes() <= BUDGET,
            "at {offset}: {}",
            state.state_bytes()
        );
    }
    assert!(
        state.counters().users_evicted > 100,
        "{:?}",
        state.counters()
    );
    assert!(
        state.user(&crate::scenario::user(1_000)).is_some(),
        "the active user was evicted"
    );
    assert!(
        state.user(&crate::scenario::user(100)).is_none(),
        "an idle user was kept"
    );
}

#[test]
fn when_users_are_few_idle_items_give_back_their_tiles() {
    let mut state = PartitionState::new(small());
    for n in 0..3_000_i64 {
        let record = click(&format!("c{n}"), &format!("item-{}", n % 400), n * 1_000).owned();
        state.apply(n as u64, &record.record());
        if state.counters().items_released > 0 {
            return;
        }
    }
    panic!("no item was released: {:?}", state.state_bytes_by_part());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn eviction_continues_exactly_after_a_restart(cut in 500_usize..6_500) {
        let plan = small();
        let log = many_users();
        let expected = fold(&plan, &log);
        let mut state = fold(&plan, &log[..cut]);
        let mut blob = Vec::new();
        state.encode_delta(&mut blob);
        let mut restored = PartitionState::restore(plan, &[blob]).unwrap();
        prop_assert_eq!(restored.state_hash(), state.state_hash());
        fold_from(&mut restored, &log);
        prop_assert_eq!(dump(&restored), dump(&expected));
        prop_assert_eq!(restored.state_hash(), expected.state_hash());
    }
}
