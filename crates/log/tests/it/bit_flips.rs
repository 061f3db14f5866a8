//! Single bits flip in files: each is reported as damage, or changes nothing that is read.

use crate::fixtures::{Coins, append, open, read_numbers, small_config};
use nowcast_disk::SimFs;
use nowcast_log::LogError;
use nowcast_types::{ErrorKind, Offset};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FLIPS: u64 = 1000;

/// A closed log of several segments, and what it holds.
fn filled() -> (SimFs, Vec<(Offset, u64)>) {
    let fs = SimFs::new(3);
    let log = open(Arc::new(fs.clone()), small_config()).unwrap();
    let mut end = 0;
    for padding in 0..60 {
        end = append(&log, end..end + 3, padding * 3).unwrap().end;
    }
    let numbers = read_numbers(&log).unwrap();
    drop(log);
    fs.crash();
    (fs, numbers)
}

fn reopen_and_read(fs: &SimFs) -> Result<Vec<(Offset, u64)>, LogError> {
    let log = open(Arc::new(fs.clone()), small_config())?;
    log.verify(crate::fixtures::EVENTS.0, crate::fixtures::EVENTS.1)?;
    read_numbers(&log)
}

/// Files with data, in which a flip may matter.
fn files(fs: &SimFs) -> Vec<(PathBuf, u64)> {
    let is_data = |path: &Path| path.extension().is_some_and(|kind| kind != "spare");
    fs.files()
        .into_iter()
        .filter(|(path, len)| is_data(path) && *len > 0)
        .collect()
}

#[test]
fn every_bit_flip_in_a_closed_log_is_detected_or_harmless() {
    let (fs, numbers) = filled();
    let files = files(&fs);
    assert!(files.len() > 3, "{files:?}");
    let mut coins = Coins(11);
    let mut detected = 0;
    for flip in 0..FLIPS {
        let (path, len) = &files[coins.below(files.len() as u64) as usize];
        let bit = coins.below(len * 8);
        let damaged = fs.fork(flip);
        damaged.flip_bit(path, bit).unwrap();
        match reopen_and_read(&damaged) {
            Ok(found) => assert_eq!(found, numbers, "bit {bit} of {}", path.display()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                assert!(
                    error.to_string().contains("log/"),
                    "names the file: {error}"
                );
                detected += 1;
            }
        }
    }
    println!("{detected} of {FLIPS} flips hit data and were detected");
    assert!(
        detected > FLIPS / 2,
        "most of the files are data: {detected}"
    );
}

#[test]
fn every_bit_of_the_last_group_is_guarded_by_the_mark_behind_it() {
    let fs = SimFs::new(4);
    let log = open(Arc::new(fs.clone()), small_config()).unwrap();
    append(&log, 0..1, 0).unwrap();
    let before = last_used_byte(&fs);
    append(&log, 1..2, 0).unwrap();
    drop(log);
    let mark_len = 48;
    let end = last_used_byte(&fs) - mark_len;
    let (path, _) = files(&fs)
        .into_iter()
        .find(|(path, _)| path.ends_with(SEGMENT))
        .unwrap();
    for bit in (before - mark_len) * 8..end * 8 {
        let damaged = fs.fork(bit);
        damaged.flip_bit(&path, bit).unwrap();
        let error = reopen_and_read(&damaged).expect_err("the flip is in acknowledged bytes");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

const SEGMENT: &str = "events-000/00000000000000000000.segment";

/// One past the last byte of the first segment that is not zero, padding to frames included.
fn last_used_byte(fs: &SimFs) -> u64 {
    let path = Path::new("log").join(SEGMENT);
    let bytes = nowcast_disk::read_all(fs, &path).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
    used.next_multiple_of(8)
}
