//! What every implementation of the log must do: one list of checks, run over each.
//!
//! For the tests of implementations, here and in other crates. A check gets an empty log with one
//! partition of events and panics when the log does not do what its name says.

#![allow(clippy::unwrap_used, reason = "this is all test code")]

use crate::batch::{RecordBatch, StoredBatch};
use crate::error::LogError;
use crate::event_log::{Bounds, EventLog};
use nowcast_types::{
    Categories, Consent, DeadLetter, DeviceClass, ErrorKind, Event, EventTypeCode, ItemChange,
    LabelledExample, Offset, Origin, PartitionId, Record, SchemaChange, SessionKey, Slate,
    SlateItems, Stream, Timestamp, UserChange, UserKey,
};
use std::ops::Range;
use std::time::Duration;

/// Where the checks put their events.
pub const EVENTS: (Stream, PartitionId) = (Stream::Events, PartitionId(0));

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(30);

/// Panics when the log does not conform.
pub type Check = fn(&dyn EventLog);

/// Every check with the sentence that it holds.
pub const CHECKS: &[(&str, Check)] = &[
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
        "every kind of record comes back as it was",
        all_kinds_come_back,
    ),
    (
        "truncation stops at the protected offset",
        truncation_is_protected,
    ),
    (
        "many threads lose nothing and keep their order",
        threads_keep_order,
    ),
];

/// The event with the given number, `padding` bytes larger than the smallest.
pub fn with_event<T>(number: u64, padding: usize, use_it: impl FnOnce(&Event<'_>) -> T) -> T {
    let (id, properties) = (number.to_string(), "x".repeat(padding));
    use_it(&Event {
        event_id: &id,
        event_type: EventTypeCode::CLICK,
        user: UserKey([7; 16]),
        session: None,
        item_id: Some("item"),
        timestamp: Timestamp(1_700_000_000_000 + number as i64 * 1000),
        received_at: Timestamp(1_700_000_000_250 + number as i64 * 1000),
        value: None,
        slot: None,
        request_id: None,
        device: DeviceClass::Mobile,
        location: None,
        utc_offset_minutes: 60,
        properties: Some(&properties),
        categories: Categories::new(),
        consent: Consent::ALL,
        schema_version: 1,
    })
}

/// A batch of the events with these numbers.
#[must_use]
pub fn batch(numbers: Range<u64>, padding: usize) -> RecordBatch {
    let mut batch = RecordBatch::new();
    for number in numbers {
        with_event(number, padding, |event| {
            batch.push(&Record::Event(event.clone()))
        });
    }
    batch
}

/// Appends and waits.
///
/// # Errors
/// What the log answers.
pub fn append(
    log: &dyn EventLog,
    numbers: Range<u64>,
    padding: usize,
) -> Result<Range<Offset>, LogError> {
    let (stream, partition) = EVENTS;
    log.append(stream, partition, batch(numbers, padding))
        .wait()
}

/// The number of every event in the log, by offset, checking that offsets have no gaps.
///
/// # Errors
/// What the log answers.
///
/// # Panics
/// If an offset is missing, or an event is not the one of its number.
pub fn read_numbers(log: &dyn EventLog) -> Result<Vec<(Offset, u64)>, LogError> {
    let (stream, partition) = EVENTS;
    let bounds = log.bounds(stream, partition)?;
    let mut numbers = Vec::new();
    let mut next = bounds.earliest;
    while next < bounds.end {
        let batches = log.read(stream, partition, next, 1000)?;
        assert!(
            !batches.is_empty(),
            "nothing at {next} before the end {}",
            bounds.end
        );
        for stored in batches {
            for (offset, record) in stored.records() {
                if offset < next {
                    continue;
                }
                assert_eq!(offset, next, "offsets have no gaps");
                let Record::Event(event) = record? else {
                    panic!("only events were appended");
                };
                let number = event.event_id.parse().expect("ids are numbers");
                let padding = event.properties.unwrap_or_default().len();
                with_event(number, padding, |expected| assert_eq!(&event, expected));
                numbers.push((offset, number));
                next += 1;
            }
        }
    }
    Ok(numbers)
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
    assert_eq!(one.iter().map(StoredBatch::count).sum::<u32>(), 1);
    let bytes = one[0].byte_len();
    let (mut next, mut reads) = (3, 0);
    while next < 20 {
        let some = log.read(EVENTS.0, EVENTS.1, next, 3 * bytes).unwrap();
        let count: u32 = some.iter().map(StoredBatch::count).sum();
        assert!((1..=3).contains(&count), "{count}");
        next = some.last().unwrap().end_offset();
        reads += 1;
    }
    assert!(reads >= 6);
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

fn all_kinds_come_back(log: &dyn EventLog) {
    let user = UserKey([9; 16]);
    let full = Event {
        event_id: "full",
        event_type: EventTypeCode::PURCHASE,
        user,
        session: Some(SessionKey(77)),
        item_id: Some("item/ü"),
        timestamp: Timestamp(1_700_000_000_123),
        received_at: Timestamp(1_700_000_000_456),
        value: Some(12.5),
        slot: Some("home"),
        request_id: Some("request"),
        device: DeviceClass::Mobile,
        location: Some("DE-BE"),
        utc_offset_minutes: -90,
        properties: Some(r#"{"a":1}"#),
        categories: ["books", "poetry"].into_iter().collect(),
        consent: Consent::ALL,
        schema_version: 1,
    };
    let at = Timestamp(1_700_000_001_000);
    let records = [
        Record::Event(full),
        Record::User(UserChange {
            user,
            at,
            is_patch: true,
            segment: Some("premium"),
            attributes: None,
        }),
        Record::Erase { user, at },
        Record::Item(ItemChange {
            item_id: "item/ü",
            at,
            item: Some("{}"),
        }),
        Record::DeadLetter(DeadLetter {
            at,
            code: "malformed",
            field: "",
            expected: "JSON",
            body: "\"x\"",
        }),
        Record::Schema(SchemaChange {
            at,
            planned_on: 300,
            change: "{\"v\":1}",
        }),
        Record::Slate(Slate {
            user,
            at,
            request_id: "r-1",
            slot: "home",
            situation: &[0, 255],
            items: SlateItems::new(&[7; 39], 1).expect("three items of 13 bytes"),
        }),
        Record::Example(LabelledExample {
            origin: Origin {
                partition: 1,
                offset: 1 << 40,
                index: 7,
            },
            at,
            slate: 300,
            place: 2,
            slot: "home",
            labels: "+click -purchase",
            score: -0.5,
            situation: &[0, 255],
            facts: &[9],
        }),
    ];
    let mut all = RecordBatch::new();
    records.iter().for_each(|record| all.push(record));
    let offsets = log.append(EVENTS.0, EVENTS.1, all).wait().unwrap();
    assert_eq!(offsets, 0..records.len() as u64);
    let mut read = 0;
    while read < records.len() {
        let stored = log.read(EVENTS.0, EVENTS.1, read as u64, 1 << 20).unwrap();
        assert!(!stored.is_empty(), "nothing at {read}");
        for (_, record) in stored.iter().flat_map(StoredBatch::records) {
            assert_eq!(record.unwrap(), records[read]);
            read += 1;
        }
    }
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
