//! A disk that fails without a crash: nothing false is acknowledged, and what can go on goes on.

use crate::fixtures::{EVENTS, append, batch, open, read_numbers, small_config};
use crate::hook_fs::{Change, HookFs, Verdict};
use nowcast_disk::{Fault, SimFs};
use nowcast_log::{EventLog, LogError};
use nowcast_types::ErrorKind;
use parking_lot::Mutex;
use std::sync::Arc;

#[test]
fn a_failure_at_any_operation_loses_nothing_acknowledged() {
    let mut stopped = 0;
    for nth in 1..120 {
        let fs = SimFs::new(nth);
        let Ok(log) = open(Arc::new(fs.clone()), small_config()) else {
            panic!("no fault is planned yet");
        };
        fs.fault_at(nth, Fault::Error);
        let mut acked = 0;
        let mut sent = 0;
        for _ in 0..60 {
            sent += 2;
            match append(&log, sent - 2..sent, 40) {
                Ok(offsets) => acked = offsets.end,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                    stopped += 1;
                    break;
                }
            }
        }
        let is_poisoned = log.stats(EVENTS.0, EVENTS.1).unwrap().is_poisoned;
        if is_poisoned {
            let again = append(&log, sent..sent + 1, 0).unwrap_err();
            assert!(matches!(again, LogError::Unavailable { .. }), "{again}");
        }
        assert_eq!(log.bounds(EVENTS.0, EVENTS.1).unwrap().end, acked);
        assert_eq!(read_numbers(&log).unwrap().len() as u64, acked);
        drop(log);
        fs.crash();
        let log = open(Arc::new(fs), small_config()).unwrap();
        let found = read_numbers(&log).unwrap().len() as u64;
        assert!(
            (acked..=sent).contains(&found),
            "{acked} acked, {found} found"
        );
    }
    assert!(stopped > 50, "most faults hit the partition: {stopped}");
}

#[test]
fn what_a_failed_sync_left_in_the_cache_is_written_again_or_gone() {
    // The first reopening sees the group in the system's cache, which believes it is on disk.
    for nth in 1..40 {
        let fs = SimFs::new(nth);
        let log = open(Arc::new(fs.clone()), small_config()).unwrap();
        append(&log, 0..2, 600).unwrap();
        fs.fault_at(nth, Fault::Error);
        let mut sent = 2;
        while sent < 20 && append(&log, sent..sent + 2, 600).is_ok() {
            sent += 2;
        }
        drop(log);
        let log = open(Arc::new(fs.clone()), small_config()).unwrap();
        let found = log.bounds(EVENTS.0, EVENTS.1).unwrap().end;
        append(&log, found..found + 1, 600).unwrap();
        drop(log);
        fs.crash();
        let log = open(Arc::new(fs), small_config()).unwrap();
        assert_eq!(read_numbers(&log).unwrap().len() as u64, found + 1);
    }
}

#[test]
fn a_full_disk_refuses_and_the_log_goes_on_when_there_is_room() {
    let fs = SimFs::new(1);
    let log = open(Arc::new(fs.clone()), small_config()).unwrap();
    // The first append creates a segment: create, zeros, header, sync, rename, …
    fs.fault_at(2, Fault::DiskFull);
    let error = append(&log, 0..1, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!log.stats(EVENTS.0, EVENTS.1).unwrap().is_poisoned);
    assert_eq!(append(&log, 0..1, 0).unwrap(), 0..1);
}

#[test]
fn appends_beyond_the_queue_are_refused_and_the_queued_ones_commit() {
    let gate = Arc::new(Mutex::new(()));
    let held = gate.clone();
    let fs = HookFs::new(Arc::new(SimFs::new(1)), move |change, path| {
        if change == Change::Sync && path.to_string_lossy().contains("events") {
            drop(held.lock());
        }
        Verdict::Run
    });
    let log = open(Arc::new(fs), small_config()).unwrap();
    append(&log, 0..1, 0).unwrap();
    let closed = gate.lock();
    let (stream, partition) = EVENTS;
    // The group at the gate may hold as much as the queue behind it: twice as much is too much.
    let too_many = 2 * small_config().queue_bytes_max.bytes() / 900 + 2;
    let acks: Vec<_> = (1..too_many)
        .map(|number| log.append(stream, partition, batch(number..number + 1, 1000)))
        .collect();
    drop(closed);
    let (committed, refused): (Vec<_>, Vec<_>) = acks
        .into_iter()
        .map(|ack| ack.wait())
        .partition(Result::is_ok);
    assert!(!refused.is_empty());
    for error in refused.into_iter().filter_map(Result::err) {
        assert!(matches!(error, LogError::Overloaded { .. }), "{error}");
        assert!(error.is_retryable());
    }
    let committed = committed.len() as u64 + 1;
    assert_eq!(log.bounds(EVENTS.0, EVENTS.1).unwrap().end, committed);
    assert!(committed > 30, "{committed}");
    append(&log, committed..committed + 1, 0).unwrap();
}
