//! Flipped bits, lost and swapped files: found, reported, and never served.

use crate::keyed_state::{CHAIN, Choices, DIR, History, open, recover};
use nowcast_disk::{Fs, OpenMode, SimFs, fs::read_all};
use std::path::{Path, PathBuf};

/// A chain with two bases and deltas before, between and after them.
fn chain() -> (SimFs, History) {
    let fs = SimFs::new(5);
    let mut choices = Choices(5);
    let mut history = History::default();
    let store = open(&fs).unwrap();
    recover(&store).unwrap();
    for position in 1..=9 {
        let delta = history.step(position, &mut choices);
        store.append_delta(CHAIN, position, &delta).unwrap();
        if position == 3 || position == 6 {
            store.compact(CHAIN).unwrap().unwrap();
        }
    }
    (fs, history)
}

fn files(fs: &SimFs) -> Vec<(PathBuf, u64)> {
    let is_checkpoint = |path: &Path| path.starts_with(DIR);
    let files = fs.files().into_iter();
    files.filter(|(path, _)| is_checkpoint(path)).collect()
}

#[test]
fn every_flipped_bit_is_detected_and_no_wrong_value_is_served() {
    let (fs, history) = chain();
    let newest = Some((9, history.state.clone()));
    assert_eq!(recover(&open(&fs).unwrap()).unwrap().newest, newest);
    let mut flips = 0;
    for (path, len) in files(&fs) {
        for bit in (0..len * 8).step_by(3) {
            let damaged = fs.fork(bit);
            damaged.flip_bit(&path, bit).unwrap();
            let store = open(&damaged).unwrap();
            let place = format!("bit {bit} of {}", path.display());
            assert_eq!(store.scrub(CHAIN).unwrap().len(), 1, "{place}");
            let found = recover(&store).unwrap();
            let (position, state) = found.newest.unwrap();
            assert_eq!(Some(&state), history.at.get(&position), "{place}");
            let is_base = path.extension().is_some_and(|kind| kind == "base");
            let is_needed = position < 9;
            // Where the newest state came from elsewhere, the damage may never have been touched.
            assert!(!is_needed || !found.damage.is_empty(), "{place}");
            assert!(
                !is_base || position == 9,
                "a base is never the only copy: {place}"
            );
            flips += 1;
        }
    }
    assert!(flips > 2_000, "only {flips} flips");
}

#[test]
fn damage_is_healed_by_the_next_checkpoint() {
    let (fs, mut history) = chain();
    let last = PathBuf::from(DIR).join("events-00003/000000000009.delta");
    fs.flip_bit(&last, 500).unwrap();
    let store = open(&fs).unwrap();
    let found = recover(&store).unwrap();
    assert_eq!(found.newest.unwrap().0, 8);
    assert!(store.needs_full(CHAIN));
    history.state = history.at[&8].clone();
    store.append_full(CHAIN, 10, &[&history.full()]).unwrap();
    let found = recover(&open(&fs).unwrap()).unwrap();
    assert_eq!(found.newest, Some((10, history.state)));
    assert!(found.damage.is_empty());
}

#[test]
fn a_lost_file_ends_the_chain_before_it_and_is_reported() {
    let (fs, history) = chain();
    let lost = PathBuf::from(DIR).join("events-00003/000000000008.delta");
    fs.remove(&lost).unwrap();
    let found = recover(&open(&fs).unwrap()).unwrap();
    assert_eq!(found.newest, Some((7, history.at[&7].clone())));
    assert!(found.damage[0].detail.contains("missing"));
}

#[test]
fn a_file_under_another_name_is_not_that_file() {
    let (fs, history) = chain();
    let dir = PathBuf::from(DIR).join("events-00003");
    let bytes = read_all(&fs, &dir.join("000000000007.delta")).unwrap();
    fs.remove(&dir.join("000000000008.delta")).unwrap();
    let copy = fs
        .open(&dir.join("000000000008.delta"), OpenMode::CreateNew)
        .unwrap();
    copy.write_at(&bytes, 0).unwrap();
    let found = recover(&open(&fs).unwrap()).unwrap();
    assert_eq!(found.newest, Some((7, history.at[&7].clone())));
    assert!(!found.damage.is_empty());
}

#[test]
fn compaction_stops_at_damage_and_asks_for_a_full_checkpoint() {
    let (fs, history) = chain();
    let store = open(&fs).unwrap();
    recover(&store).unwrap();
    let delta = PathBuf::from(DIR).join("events-00003/000000000007.delta");
    fs.flip_bit(&delta, 777).unwrap();
    assert!(store.compact(CHAIN).is_err());
    assert!(store.needs_full(CHAIN));
    store.append_full(CHAIN, 9, &[&history.full()]).unwrap();
    let found = recover(&open(&fs).unwrap()).unwrap();
    assert_eq!(found.newest, Some((9, history.state)));
}
