//! Records that carry a number, small logs to put them in, and reading them all back.

use nowcast_disk::Fs;
use nowcast_log::{EmbeddedLog, EventLog, LogConfig, LogError, RecordBatch};
use nowcast_types::{
    ByteSize, Categories, Consent, DeviceClass, Event, EventTypeCode, Offset, PartitionId, Record,
    Span, Stream, Timestamp, UserKey,
};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub(crate) const EVENTS: (Stream, PartitionId) = (Stream::Events, PartitionId(0));

/// Small enough that a few batches fill a segment.
pub(crate) fn small_config() -> LogConfig {
    LogConfig {
        segment_bytes: ByteSize(4 << 10),
        segments_spare_max: 1,
        group_bytes_max: ByteSize(2 << 10),
        commit_delay_max: Span(0),
        queue_bytes_max: ByteSize(64 << 10),
        retention_age: Span(400 * 86_400_000),
        retention_bytes: ByteSize(1 << 30),
        tail_cache_bytes: ByteSize(1 << 10),
        index_interval_bytes: ByteSize(512),
    }
}

pub(crate) fn open(fs: Arc<dyn Fs>, config: LogConfig) -> Result<EmbeddedLog, LogError> {
    EmbeddedLog::open(fs, Path::new("log"), config, 1)
}

/// The event with the given number, `padding` bytes larger than the smallest.
pub(crate) fn with_event<T>(
    number: u64,
    padding: usize,
    use_it: impl FnOnce(&Event<'_>) -> T,
) -> T {
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
pub(crate) fn batch(numbers: Range<u64>, padding: usize) -> RecordBatch {
    let mut batch = RecordBatch::new();
    for number in numbers {
        with_event(number, padding, |event| {
            batch.push(&Record::Event(event.clone()))
        });
    }
    batch
}

/// Appends and waits.
pub(crate) fn append(
    log: &dyn EventLog,
    numbers: Range<u64>,
    padding: usize,
) -> Result<Range<Offset>, LogError> {
    let (stream, partition) = EVENTS;
    log.append(stream, partition, batch(numbers, padding))
        .wait()
}

/// The number of every event in the log, by offset, checking that offsets have no gaps.
pub(crate) fn read_numbers(log: &dyn EventLog) -> Result<Vec<(Offset, u64)>, LogError> {
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

/// SplitMix64, so that each seed is one schedule.
#[derive(Debug, Clone)]
pub(crate) struct Coins(pub(crate) u64);

impl Coins {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
