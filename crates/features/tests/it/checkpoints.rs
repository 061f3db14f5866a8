//! What checkpoints hold, refuse and forget.

use crate::scenario::{
    Owned, click, config, dump, fold, fold_from, plan, plan_of, random_log, user,
};
use nowcast_features::{FeaturesError, PartitionState, for_each_section, merge_blobs};
use std::sync::Arc;

#[test]
fn a_delta_holds_only_what_changed() {
    let plan = plan();
    let mut log = random_log(5, 2_000);
    let mut state = fold(&plan, &log);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    state.encode_delta(&mut first);
    log.push(click("one more", "item-1", 40_000_000_000).by(3).owned());
    fold_from(&mut state, &log);
    state.encode_delta(&mut second);
    assert!(
        second.len() * 10 < first.len(),
        "{} of {}",
        second.len(),
        first.len()
    );
    let restored = PartitionState::restore(plan, &[first, second]).unwrap();
    assert_eq!(dump(&restored), dump(&state));
}

#[test]
fn an_erased_user_leaves_no_bytes_in_merged_checkpoints() {
    let plan = plan();
    let mut log = random_log(6, 500);
    let secret = "{\"name\":\"Ada Lovelace\"}";
    log.push(Owned::User {
        user: user(3),
        is_patch: false,
        segment: None,
        attributes: Some(secret.to_owned()),
    });
    let mut state = fold(&plan, &log);
    let (mut before, mut after, mut merged) = (Vec::new(), Vec::new(), Vec::new());
    state.encode_delta(&mut before);
    log.push(Owned::Erase(user(3)));
    fold_from(&mut state, &log);
    assert!(state.user(&user(3)).is_none());
    state.encode_delta(&mut after);
    merge_blobs(&[before.clone(), after], false, &mut merged).unwrap();
    let contains = |blob: &[u8], needle: &[u8]| blob.windows(needle.len()).any(|w| w == needle);
    assert!(contains(&before, secret.as_bytes()) && contains(&before, &user(3).0));
    assert!(!contains(&merged, secret.as_bytes()) && !contains(&merged, &user(3).0));
    assert!(!dump(&state).contains(&user(3).to_string()));
}

#[test]
fn another_meaning_of_the_state_is_refused_and_other_bounds_are_not() {
    let mut state = fold(&plan(), &random_log(7, 100));
    let mut blob = Vec::new();
    state.encode_delta(&mut blob);
    let mut bounds = config();
    bounds.dedup_entries_max = 77;
    assert!(PartitionState::restore(plan_of(&bounds), &[&blob]).is_ok());
    let mut meaning = config();
    meaning.views.pop();
    let refused = PartitionState::restore(plan_of(&meaning), &[&blob]);
    assert!(matches!(refused, Err(FeaturesError::PlanChanged { .. })));
}

#[test]
fn damaged_blobs_are_refused_or_folded_without_a_panic() {
    let plan = plan();
    let log = random_log(8, 300);
    let mut state = fold(&plan, &log);
    let mut blob = Vec::new();
    state.encode_delta(&mut blob);
    let mut refused = 0;
    for at in 0..blob.len().min(6_000) {
        let mut damaged = blob.clone();
        damaged[at] ^= 1 << (at % 8);
        match PartitionState::restore(Arc::clone(&plan), &[damaged]) {
            Ok(mut state) => {
                let next = click("next", "item-2", 50_000_000_000).by(4).owned();
                state.apply(state.position(), &next.record());
                dump(&state);
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
    for cut in (0..blob.len()).step_by(97) {
        let result = PartitionState::restore(Arc::clone(&plan), &[&blob[..cut]]);
        assert!(result.is_err(), "cut at {cut}");
    }
}

#[test]
fn sections_can_be_counted_without_knowing_the_plan() {
    let mut state = fold(&plan(), &random_log(9, 300));
    let mut blob = Vec::new();
    state.encode_delta(&mut blob);
    let mut users = 0;
    for_each_section(&blob, |s| {
        users += usize::from(s.kind == 1 && s.value.is_some())
    })
    .unwrap();
    assert_eq!(users, state.users_len());
}
