//! The same log gives the same state, however it is cut.

use crate::scenario::{dump, fold, fold_batch, plan, random_log};
use nowcast_features::PartitionState;
use proptest::prelude::*;
use std::sync::Arc;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_batching_and_any_checkpoints_give_the_same_state(
        seed in any::<u64>(),
        len in 1_usize..700,
        steps in prop::collection::vec((1_usize..200, 0_u8..6), 1..12),
    ) {
        let plan = plan();
        let log = random_log(seed, len);
        let expected = fold(&plan, &log);
        let mut state = PartitionState::new(Arc::clone(&plan));
        let mut blobs: Vec<Vec<u8>> = Vec::new();
        for (step, action) in steps.iter().cycle() {
            let to = (state.position() as usize + step).min(log.len());
            fold_batch(&mut state, &log, to);
            match action {
                0 => {
                    let mut full = Vec::new();
                    state.encode_full(&mut full);
                    blobs = vec![full];
                    state = PartitionState::restore(Arc::clone(&plan), &blobs).unwrap();
                }
                1..4 => {
                    let mut delta = Vec::new();
                    state.encode_delta(&mut delta);
                    blobs.push(delta);
                    if *action == 1 {
                        state = PartitionState::restore(Arc::clone(&plan), &blobs).unwrap();
                    }
                    if *action == 2 {
                        let mut merged = Vec::new();
                        nowcast_features::merge_blobs(&blobs, false, &mut merged).unwrap();
                        blobs = vec![merged];
                    }
                }
                _ => {}
            }
            if to == log.len() {
                break;
            }
        }
        prop_assert_eq!(dump(&state), dump(&expected));
        prop_assert_eq!(state.state_hash(), expected.state_hash());
        prop_assert_eq!(state.state_bytes(), expected.state_bytes());
    }

    #[test]
    fn folding_a_prefix_again_changes_nothing(seed in any::<u64>()) {
        let plan = plan();
        let log = random_log(seed, 200);
        let mut state = fold(&plan, &log);
        let (hash, counters) = (state.state_hash(), *state.counters());
        for (offset, record) in log.iter().enumerate() {
            state.apply(offset as u64, &record.record());
        }
        prop_assert_eq!(state.state_hash(), hash);
        prop_assert_eq!(state.counters(), &counters);
    }
}
