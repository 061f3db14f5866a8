//! A compacted chain is the same state in fewer bytes.

use crate::keyed_state::{CHAIN, Choices, History, open, recover};
use nowcast_disk::SimFs;
use nowcast_store::sections::SectionWriter;
use proptest::prelude::*;

proptest! {
    #[test]
    fn compaction_changes_no_state(seed in any::<u64>(), compact_at in prop::collection::vec(any::<bool>(), 1..40)) {
        let fs = SimFs::new(seed);
        let mut choices = Choices(seed);
        let mut history = History::default();
        let store = open(&fs).unwrap();
        recover(&store).unwrap();
        for (position, compact) in (1..).zip(&compact_at) {
            let delta = history.step(position, &mut choices);
            store.append_delta(CHAIN, position, &delta).unwrap();
            if *compact {
                store.compact(CHAIN).unwrap().unwrap();
            }
        }
        let found = recover(&open(&fs).unwrap()).unwrap();
        prop_assert_eq!(found.newest, Some((compact_at.len() as u64, history.state)));
        prop_assert!(found.damage.is_empty());
    }
}

#[test]
fn overwritten_values_leave_the_disk_after_two_compactions() {
    let fs = SimFs::new(1);
    let store = open(&fs).unwrap();
    recover(&store).unwrap();
    let write = |position: u64, value: Option<&[u8]>| {
        let mut delta = SectionWriter::new();
        delta.push(1, b"user", value);
        delta.push(1, b"other", Some(&[position as u8; 8]));
        store.append_delta(CHAIN, position, delta.bytes()).unwrap();
    };
    let secret = b"what the user liked";
    write(1, Some(secret));
    write(2, None);
    for position in 3..=4 {
        store.compact(CHAIN).unwrap().unwrap();
        write(position, None);
    }
    store.compact(CHAIN).unwrap().unwrap();
    for (path, _) in fs.files() {
        let bytes = nowcast_disk::fs::read_all(&fs, &path).unwrap();
        let is_there = bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!is_there, "{}", path.display());
    }
}

#[test]
fn a_blob_longer_than_a_frame_is_cut_between_sections() {
    let fs = SimFs::new(1);
    let store = open(&fs).unwrap();
    recover(&store).unwrap();
    let mut full = SectionWriter::new();
    for key in 0..70_u8 {
        full.push(1, &[key], Some(&vec![key; 1 << 20]));
    }
    store.append_full(CHAIN, 1, &[full.bytes()]).unwrap();
    let (position, state) = recover(&open(&fs).unwrap()).unwrap().newest.unwrap();
    assert_eq!((position, state.len()), (1, 70));
    assert!(
        state
            .iter()
            .all(|(key, value)| value == &vec![key[0]; 1 << 20])
    );
}

#[test]
fn a_long_chain_asks_for_compaction() {
    let store = open(&SimFs::new(1)).unwrap();
    recover(&store).unwrap();
    let mut history = History::default();
    for position in 1..=4 {
        assert!(!store.wants_compaction(CHAIN));
        let delta = history.step(position, &mut Choices(position));
        store.append_delta(CHAIN, position, &delta).unwrap();
    }
    assert!(store.wants_compaction(CHAIN));
    assert_eq!(store.compact(CHAIN).unwrap().unwrap().deltas, 4);
    assert!(!store.wants_compaction(CHAIN));
    assert_eq!(store.compact(CHAIN).unwrap(), None, "nothing to merge");
}
