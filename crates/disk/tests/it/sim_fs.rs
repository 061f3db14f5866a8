//! The simulated disk keeps its promises and breaks everything that was not promised.

use nowcast_disk::{Fault, File, Fs, OpenMode, SimFs, read_all, write_atomic};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

const SECTOR: usize = 512;

fn disk(seed: u64) -> (SimFs, Arc<dyn File>) {
    let fs = SimFs::new(seed);
    fs.create_dir_all(Path::new("d")).unwrap();
    let file = fs.open(Path::new("d/a"), OpenMode::CreateNew).unwrap();
    fs.sync_dir(Path::new("d")).unwrap();
    (fs, file)
}

fn content(fs: &SimFs) -> Vec<u8> {
    read_all(fs, Path::new("d/a")).unwrap()
}

#[test]
fn synced_bytes_survive_and_others_are_lost_sector_by_sector() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..50 {
        let (fs, file) = disk(seed);
        file.write_at(&[1; 3 * SECTOR], 0).unwrap();
        file.sync_data().unwrap();
        file.write_at(&[2; 2 * SECTOR], SECTOR as u64).unwrap();
        fs.crash();
        let bytes = content(&fs);
        let sectors: Vec<u8> = bytes.chunks(SECTOR).map(|sector| sector[0]).collect();
        assert!(
            bytes
                .chunks(SECTOR)
                .all(|sector| sector.iter().all(|b| *b == sector[0]))
        );
        assert_eq!(sectors[0], 1, "untouched");
        outcomes.insert(sectors);
    }
    assert_eq!(
        outcomes.len(),
        4,
        "each of two sectors is kept or lost: {outcomes:?}"
    );
}

#[test]
fn the_same_seed_crashes_the_same_way() {
    let run = |seed| {
        let (fs, file) = disk(seed);
        file.write_at(&[7; 20 * SECTOR], 0).unwrap();
        fs.crash();
        content(&fs)
    };
    assert_eq!(run(5), run(5));
    assert!((0..20).any(|seed| run(seed) != run(5)));
}

#[test]
fn names_that_were_not_synced_may_vanish() {
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..40 {
        let fs = SimFs::new(seed);
        fs.create_dir_all(Path::new("d")).unwrap();
        write_atomic(&fs, Path::new("d/safe"), b"safe").unwrap();
        let file = fs.open(Path::new("d/new"), OpenMode::CreateNew).unwrap();
        file.write_at(b"x", 0).unwrap();
        file.sync_all().unwrap();
        fs.crash();
        assert_eq!(read_all(&fs, Path::new("d/safe")).unwrap(), b"safe");
        match fs.open(Path::new("d/new"), OpenMode::Read) {
            Ok(_) => kept += 1,
            Err(_) => lost += 1,
        }
    }
    assert!(kept > 5 && lost > 5, "{kept} kept, {lost} lost");
}

#[test]
fn an_atomic_write_leaves_the_old_or_the_new_at_every_power_cut() {
    for nth in 1..=5 {
        for seed in 0..20 {
            let fs = SimFs::new(seed);
            fs.create_dir_all(Path::new("d")).unwrap();
            write_atomic(&fs, Path::new("d/a"), b"old").unwrap();
            fs.fault_at(nth, Fault::PowerOff);
            write_atomic(&fs, Path::new("d/a"), &[b'n'; 2000]).unwrap_err();
            assert!(fs.list(Path::new("d")).is_err(), "there is no power");
            fs.crash();
            let bytes = content(&fs);
            assert!(
                bytes == b"old" || bytes == [b'n'; 2000],
                "{nth}, {seed}: {bytes:?}"
            );
        }
    }
}

#[test]
fn a_failed_sync_forgets_what_it_did_not_write() {
    let (fs, file) = disk(1);
    file.write_at(&[1; 8 * SECTOR], 0).unwrap();
    file.sync_data().unwrap();
    file.write_at(&[2; 8 * SECTOR], 0).unwrap();
    fs.fault_at(1, Fault::Error);
    file.sync_data().unwrap_err();
    file.sync_data().unwrap();
    assert_eq!(content(&fs)[0], 2, "the cache still has it");
    fs.crash();
    assert_eq!(
        content(&fs),
        [1; 8 * SECTOR],
        "a second sync that worked saved nothing"
    );
}

#[test]
fn handles_and_locks_of_before_the_crash_are_dead() {
    let (fs, file) = disk(1);
    let lock = fs.lock_exclusive(Path::new("d/lock")).unwrap();
    fs.crash();
    assert!(file.write_at(b"x", 0).is_err());
    let again = fs.lock_exclusive(Path::new("d/lock")).unwrap();
    drop(lock);
    assert!(
        fs.lock_exclusive(Path::new("d/lock")).is_err(),
        "the old guard frees nothing"
    );
    drop(again);
}

#[test]
fn lies_about_sync_lose_data() {
    let is_lost = |seed| {
        let (fs, file) = disk(seed);
        fs.lie_about_sync(true);
        file.write_at(&[1; 4 * SECTOR], 0).unwrap();
        file.sync_data().unwrap();
        fs.crash();
        content(&fs) != [1; 4 * SECTOR]
    };
    assert!((0..10).any(is_lost));
}

#[test]
fn a_flipped_bit_stays_flipped() {
    let (fs, file) = disk(1);
    file.write_at(&[0; 4], 0).unwrap();
    file.sync_data().unwrap();
    fs.flip_bit(Path::new("d/a"), 9).unwrap();
    fs.crash();
    assert_eq!(content(&fs), [0, 2, 0, 0]);
    assert!(fs.flip_bit(Path::new("d/a"), 32).is_err());
}
