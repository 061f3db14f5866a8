//! What every implementation of the log must do. One list of checks, run over each.

use crate::fixtures::{EVENTS, append, batch, open, read_numbers, small_config};
use nowcast_disk::SimFs;
use nowcast_log::{Bounds, EventLog, LogError, MemoryLog, RecordBatch};
use nowcast_types::{ErrorKind, PartitionId, Stream};
use std::sync::Arc;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(30);

type Check = fn(&dyn EventLog);

const CHECKS: &[(&str, Check)] = &[
    ("an empty partition has nothing to read", empty_partition),
    ("offsets continue from batch to batch", offsets_continue),
    (
        "a read begins at the batch that holds the offset",
        read_inside_a_batch,
    ),
    (
        "a read stops at its bytes but gives one batch",
        read_is_bounded,
    ),
    ("a read outside of the bounds is refused", read_outside),
    (
        "a partition that does not exist is refused",
        no_such_partition,
    ),
    ("a batch without records is refused", empty_batch),
    ("streams do not see each other", streams_are_apart),
    ("a waiter wakes when records come", waiter_wakes),
    (
        "truncation stops at the protected offset",
        truncation_is_protected,
    ),
    (
        "many threads lose nothing and keep their order",
        threads_keep_order,
    ),
];

fn run_all(make: impl Fn() -> Box<dyn EventLog>) {
    for (name, check) in CHECKS {
        println!("check: {name}");
        check(&*make());
    }
}

#[test]
fn the_memory_log_conforms() {
    run_all(|| Box::new(MemoryLog::new(1)));
}

#[test]
fn the_embedded_log_conforms() {
    run_all(|| {
        let fs = Arc::new(SimFs::new(1));
        Box::new(open(fs, small_config()).expect("an empty disk opens"))
    });
}

fn bounds(log: &dyn EventLog) -> Bounds {
    log.bounds(EVENTS.0, EVENTS.1).unwrap()
}

fn empty_partition(log: &dyn EventLog) {
    assert_eq!(
        bounds(log),
        Bounds {
            earliest: 0,
            end: 0
        }
    );
    assert!(log.read(EVENTS.0, EVENTS.1, 0, 1000).unwrap().is_empty());
    assert!(!log.wait_beyond(EVENTS.0, EVENTS.1, 0, SHORT));
    assert_eq!(log.partitions(Stream::Events), 1);
    assert_eq!(log.partitions(Stream::Catalog), 1);
}

fn offsets_continue(log: &dyn EventLog) {
    let mut end = 0;
    for size in [1, 3, 20, 2, 40] {
        let offsets = append(log, end..end + size, 30).unwrap();
        assert_eq!(offsets, end..end + size);
        end += size;
        assert_eq!(bounds(log), Bounds { earliest: 0, end });
    }
    let numbers = read_numbers(log).unwrap();
    assert_eq!(numbers, (0..end).map(|n| (n, n)).collect::<Vec<_>>());
}

fn read_inside_a_batch(log: &dyn EventLog) {
    append(log, 0..5, 0).unwrap();
    append(log, 5..10, 0).unwrap();
    for from in 0..10 {
        let batches = log.read(EVENTS.0, EVENTS.1, from, 1).unwrap();
        let first = &batches[0];
        assert!((first.base_offset()..first.end_offset()).contains(&from));
        assert_eq!(first.records().len(), first.count() as usize);
    }
    assert!(log.read(EVENTS.0, EVENTS.1, 10, 1).unwrap().is_empty());
}

fn read_is_bounded(log: &dyn EventLog) {
    for number in 0..20 {
        append(log, number..number + 1, 100).unwrap();
    }
    let one = log.read(EVENTS.0, EVENTS.1, 3, 1).unwrap();
    assert_eq!(one.len(), 1);
    let bytes = one[0].byte_len();
    assert_eq!(log.read(EVENTS.0, EVENTS.1, 3, 3 * bytes).unwrap().len(), 3);
}

fn read_outside(log: &dyn EventLog) {
    append(log, 0..3, 0).unwrap();
    let error = log.read(EVENTS.0, EVENTS.1, 4, 1000).unwrap_err();
    assert!(
        matches!(
            error,
            LogError::OutOfRange {
                offset: 4,
                earliest: 0,
                end: 3
            }
        ),
        "{error}"
    );
}

fn no_such_partition(log: &dyn EventLog) {
    let beyond = PartitionId(1);
    let refused = log.append(Stream::Events, beyond, batch(0..1, 0)).wait();
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(log.read(Stream::Events, beyond, 0, 1).is_err());
    assert!(log.bounds(Stream::Late, beyond).is_err());
    assert!(!log.wait_beyond(Stream::Late, beyond, 0, LONG));
}

fn empty_batch(log: &dyn EventLog) {
    let refused = log.append(EVENTS.0, EVENTS.1, RecordBatch::new()).wait();
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(bounds(log).end, 0);
}

fn streams_are_apart(log: &dyn EventLog) {
    for stream in Stream::ALL {
        let offsets = log.append(stream, PartitionId(0), batch(0..2, 0)).wait();
        assert_eq!(offsets.unwrap(), 0..2);
    }
}

fn waiter_wakes(log: &dyn EventLog) {
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| log.wait_beyond(EVENTS.0, EVENTS.1, 1, LONG));
        append(log, 0..1, 0).unwrap();
        append(log, 1..2, 0).unwrap();
        assert!(waiter.join().unwrap());
    });
}

fn truncation_is_protected(log: &dyn EventLog) {
    let mut end = 0;
    for _ in 0..40 {
        end = append(log, end..end + 4, 60).unwrap().end;
    }
    log.truncate_before(EVENTS.0, EVENTS.1, end).unwrap();
    assert_eq!(bounds(log).earliest, 0, "nothing is in a checkpoint");
    log.protect(EVENTS.0, EVENTS.1, 100).unwrap();
    log.truncate_before(EVENTS.0, EVENTS.1, end).unwrap();
    let earliest = bounds(log).earliest;
    assert!(earliest > 0 && earliest <= 100, "{earliest}");
    log.protect(EVENTS.0, EVENTS.1, end).unwrap();
    log.truncate_before(EVENTS.0, EVENTS.1, 150).unwrap();
    assert!((earliest + 1..=150).contains(&bounds(log).earliest));
    let numbers = read_numbers(log).unwrap();
    assert_eq!(numbers.last(), Some(&(end - 1, end - 1)));
    assert!(log.read(EVENTS.0, EVENTS.1, 0, 1).is_err());
}

fn threads_keep_order(log: &dyn EventLog) {
    const THREADS: u64 = 4;
    const BATCHES: u64 = 50;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let first = thread * 1000;
                for number in first..first + BATCHES {
                    append(log, number..number + 1, 20).unwrap();
                }
            });
        }
    });
    let numbers = read_numbers(log).unwrap();
    assert_eq!(numbers.len() as u64, THREADS * BATCHES);
    for thread in 0..THREADS {
        let of_thread = numbers
            .iter()
            .map(|(_, n)| *n)
            .filter(|n| n / 1000 == thread);
        let first = thread * 1000;
        assert!(of_thread.eq(first..first + BATCHES));
    }
}
