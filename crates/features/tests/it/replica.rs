//! Users read from their sections beside a replica of the item side, as the partition reads them.

#![allow(clippy::unwrap_used, reason = "this is all test code")]

use crate::scenario::{START_MS, click, config, fold, fold_from, plan_of, random_log, user};
use nowcast_features::{
    FeatureKey, FeatureValue, FoldPlan, PartitionReplica, PartitionState, UserRef,
    for_each_section, section_kind, user_slot,
};
use nowcast_types::{Timestamp, UserKey};
use std::collections::BTreeMap;
use std::sync::Arc;

/// User sections by key, as a store would have them.
type Sections = BTreeMap<UserKey, Vec<u8>>;

fn store(sections: &mut Sections, blob: &[u8]) {
    for_each_section(blob, |section| {
        if section.kind == section_kind::USER {
            let key = UserKey(section.key.try_into().unwrap());
            match section.value {
                Some(value) => sections.insert(key, value.to_vec()),
                None => sections.remove(&key),
            };
        }
    })
    .unwrap();
}

/// Everything a reader can see of a user, bit for bit.
fn seen(user: UserRef<'_>, state: &PartitionState) -> String {
    let as_of = Timestamp(START_MS + 90 * 60_000);
    let name = |key: FeatureKey| state.key_name(key).to_owned();
    let features: Vec<_> = user
        .features(as_of)
        .into_iter()
        .map(|(view, value)| match value {
            FeatureValue::Missing => (view, "missing".to_owned()),
            FeatureValue::Number(number) => (view, format!("{:x}", number.to_bits())),
            FeatureValue::Ranked(keys) => {
                let named = keys
                    .into_iter()
                    .map(|(key, score)| (name(key), score.to_bits()));
                (view, format!("{:?}", named.collect::<Vec<_>>()))
            }
        })
        .collect();
    let affinity: Vec<_> = user
        .affinity(as_of)
        .into_iter()
        .map(|(category, weight)| (state.category(category).to_owned(), weight.to_bits()))
        .collect();
    let history: Vec<_> = user
        .history()
        .iter()
        .map(|entry| (state.item_id(entry.item).to_owned(), *entry))
        .collect();
    let segment = user.segment().map(|segment| state.segment(segment));
    let rest = (user.session(), segment, user.attributes(), user.active_s());
    format!("{history:?} {affinity:?} {features:?} {rest:?}")
}

fn plan() -> Arc<FoldPlan> {
    plan_of(&config())
}

#[test]
fn a_remote_read_is_the_local_read_bit_for_bit() {
    let plan = plan();
    let mut replica = PartitionReplica::new(plan.clone());
    let mut state = PartitionState::new(plan);
    let mut sections = Sections::new();
    let log = random_log(21, 4_000);
    for end in (0..=log.len()).step_by(500) {
        fold_from(&mut state, &log[..end]);
        let (mut delta, mut published) = (Vec::new(), Vec::new());
        state.encode_delta(&mut delta);
        store(&mut sections, &delta);
        PartitionReplica::item_side(&delta, &mut published).unwrap();
        replica.apply(&[published]).unwrap();
        assert_eq!(sections.len(), state.users_len());
        for (key, section) in &sections {
            let remote = replica.read_user(key, section).unwrap();
            assert_eq!(remote.entries_unknown(), 0);
            let local = state.user(key).unwrap();
            assert_eq!(
                seen(replica.user(&remote), replica.state()),
                seen(local, &state)
            );
        }
    }
    assert!(sections.len() > 5);
}

#[test]
fn the_item_side_of_a_replica_reads_as_the_partitions() {
    let plan = plan();
    let log = random_log(22, 3_000);
    let mut state = fold(&plan, &log);
    let mut full = Vec::new();
    state.encode_delta(&mut full);
    let mut replica = PartitionReplica::new(plan);
    replica.apply(&[&full]).unwrap();
    replica.apply(&[&full]).unwrap();
    let copy = replica.state();
    assert_eq!(copy.items_len(), state.items_len());
    assert_eq!(copy.categories_len(), state.categories_len());
    let as_of = Timestamp(START_MS + 90 * 60_000);
    for number in 0..state.items_len() {
        let item = nowcast_features::LocalItem(number);
        assert_eq!(copy.item_id(item), state.item_id(item));
        assert_eq!(copy.find_item(state.item_id(item)), Some(item));
        assert_eq!(copy.popularity(item, as_of), state.popularity(item, as_of));
        let near = |of: &PartitionState| of.neighbours(item, as_of).collect::<Vec<_>>();
        assert_eq!(near(copy), near(&state));
    }
    assert_eq!(copy.users_len(), 0);
    assert_eq!(replica.drain_new_items(), 0..state.items_len());
}

#[test]
fn what_the_replica_does_not_know_yet_is_left_out_until_it_does() {
    let plan = plan();
    let mut state = fold(&plan, &[click("a", "item-old", 0).owned()]);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    state.encode_delta(&mut first);
    let mut replica = PartitionReplica::new(plan);
    replica.apply(&[&first]).unwrap();
    let log = [
        click("a", "item-old", 0).owned(),
        click("b", "item-new", 1_000).owned(),
    ];
    fold_from(&mut state, &log);
    state.encode_delta(&mut second);
    let mut sections = Sections::new();
    store(&mut sections, &second);
    let section = &sections[&user(1)];
    let early = replica.read_user(&user(1), section).unwrap();
    assert_eq!(early.entries_unknown(), 1);
    let items = |user: UserRef<'_>, state: &PartitionState| {
        let ids = user
            .history()
            .iter()
            .map(|e| state.item_id(e.item).to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(items(replica.user(&early), replica.state()), ["item-old"]);
    seen(replica.user(&early), replica.state());
    replica.apply(&[&second]).unwrap();
    let later = replica.read_user(&user(1), section).unwrap();
    assert_eq!(
        items(replica.user(&later), replica.state()),
        ["item-old", "item-new"]
    );
}

#[test]
fn a_row_beyond_a_gap_waits_for_the_row_before_it() {
    let plan = plan();
    let log: Vec<_> = (0..5)
        .map(|n| click(&format!("e{n}"), &format!("item-{n}"), n * 1_000).owned())
        .collect();
    let mut state = fold(&plan, &log);
    let mut delta = Vec::new();
    state.encode_delta(&mut delta);
    let mut gappy = Vec::new();
    nowcast_features::begin_blob(&mut gappy);
    for_each_section(&delta, |section| {
        if section.kind != section_kind::ITEM || section.key != 2_u32.to_le_bytes() {
            nowcast_features::write_section(&mut gappy, section);
        }
    })
    .unwrap();
    let mut replica = PartitionReplica::new(plan);
    replica.apply(&[&gappy]).unwrap();
    assert_eq!(replica.state().items_len(), 2);
    replica.apply(&[&gappy, &delta]).unwrap();
    assert_eq!(replica.state().items_len(), 5);
}

#[test]
fn damaged_sections_are_refused_or_read_without_a_panic() {
    let plan = plan();
    let mut state = fold(&plan, &random_log(23, 1_000));
    let mut delta = Vec::new();
    state.encode_delta(&mut delta);
    let mut replica = PartitionReplica::new(plan);
    replica.apply(&[&delta]).unwrap();
    let mut sections = Sections::new();
    store(&mut sections, &delta);
    let mut refused = 0;
    for (key, section) in sections.iter().take(4) {
        assert!(user_slot(section).is_some());
        for at in 0..section.len() {
            let mut damaged = section.clone();
            damaged[at] ^= 1 << (at % 8);
            match replica.read_user(key, &damaged) {
                Ok(user) => {
                    seen(replica.user(&user), replica.state());
                }
                Err(_) => refused += 1,
            }
            refused += usize::from(replica.read_user(key, &section[..at]).is_err());
        }
    }
    assert!(refused > 0);
}

#[test]
fn ids_that_a_store_appends_need_no_names_of_their_own() {
    let plan = plan();
    let mut state = PartitionState::new(plan.clone());
    state.append_dedup(true);
    let log = random_log(24, 2_000);
    let mut blobs: Vec<Vec<u8>> = Vec::new();
    for (n, end) in (100..=log.len()).step_by(100).enumerate() {
        fold_from(&mut state, &log[..end]);
        let mut delta = Vec::new();
        state.encode_delta(&mut delta);
        // What a store that appends gives back: every chunk, under names of its own.
        let mut renamed = Vec::new();
        nowcast_features::begin_blob(&mut renamed);
        for_each_section(&delta, |section| {
            let mut key = section.key.to_vec();
            if section.kind == section_kind::DEDUP {
                let chunk = &mut key[8..];
                let is_whole = *chunk == u32::MAX.to_le_bytes();
                assert!(is_whole || *chunk == [0; 4], "one name per generation");
                if section.value.is_some() {
                    chunk.copy_from_slice(&(n as u32).to_le_bytes());
                }
            }
            let section = nowcast_features::Section {
                key: &key,
                ..section
            };
            nowcast_features::write_section(&mut renamed, section);
        })
        .unwrap();
        blobs.push(renamed);
    }
    let restored = PartitionState::restore(plan, &blobs).unwrap();
    assert_eq!(restored.state_hash(), state.state_hash());
}
