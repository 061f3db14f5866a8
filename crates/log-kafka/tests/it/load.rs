//! Writers that append without waiting, and the proof that what was acknowledged is there.

use nowcast_log::conformance::with_event;
use nowcast_log::{AppendAck, EventLog, RecordBatch, StoredBatch};
use nowcast_log_kafka::KafkaLog;
use nowcast_types::{Offset, PartitionId, Record, Stream};
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::thread;
use std::time::Duration;

/// Appends on their way per writer.
const WINDOW: usize = 32;
/// Numbers of one writer.
const STRIDE: u64 = 1_000_000_000;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) writers: u64,
    /// Per writer.
    pub(crate) appends: u64,
    /// Per append.
    pub(crate) records: u64,
    /// Between the appends of a writer, so that the brokers have room for their own work.
    pub(crate) pace: Duration,
}

/// What the writers were told.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// In the order of the appends of each writer.
    pub(crate) acked: Vec<Acked>,
    pub(crate) failed: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Acked {
    partition: PartitionId,
    numbers: Range<u64>,
    offsets: Range<Offset>,
}

impl Load {
    pub(crate) fn run(self, log: &KafkaLog) -> Written {
        self.run_while(log, || true)
    }

    /// Runs until the appends are done or `goes_on` says no.
    pub(crate) fn run_while(self, log: &KafkaLog, goes_on: impl Fn() -> bool + Sync) -> Written {
        let goes_on = &goes_on;
        let writers: Vec<Written> = thread::scope(|scope| {
            let threads: Vec<_> = (0..self.writers)
                .map(|writer| scope.spawn(move || self.write(log, writer, goes_on)))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let mut all = Written::default();
        for written in writers {
            all.acked.extend(written.acked);
            all.failed += written.failed;
        }
        all
    }

    fn write(self, log: &KafkaLog, writer: u64, goes_on: &(impl Fn() -> bool + Sync)) -> Written {
        let partitions = u64::from(log.partitions(Stream::Events));
        let partition = PartitionId((writer % partitions) as u16);
        let mut written = Written::default();
        let mut waiting: VecDeque<(Range<u64>, AppendAck)> = VecDeque::new();
        let mut settle = |(numbers, ack): (Range<u64>, AppendAck)| match ack.wait() {
            Ok(offsets) => written.acked.push(Acked {
                partition,
                numbers,
                offsets,
            }),
            Err(error) => {
                assert!(error.is_retryable(), "{error}");
                written.failed += 1;
            }
        };
        let mut next = writer * STRIDE;
        for _ in 0..self.appends {
            if !goes_on() {
                break;
            }
            if !self.pace.is_zero() {
                thread::park_timeout(self.pace);
            }
            let mut batch = RecordBatch::new();
            let numbers = next..next + self.records;
            for number in numbers.clone() {
                with_event(number, 40, |event| {
                    batch.push(&Record::Event(event.clone()))
                });
            }
            next = numbers.end;
            let ack = log.append(Stream::Events, partition, batch);
            waiting.push_back((numbers, ack));
            if waiting.len() == WINDOW {
                settle(waiting.pop_front().unwrap());
            }
        }
        waiting.into_iter().for_each(&mut settle);
        written
    }
}

/// Every acknowledged record is where its acknowledgement says, once, and each writer's are in
/// the order of its appends. What failed may be there or not.
pub(crate) fn check_all(log: &KafkaLog, written: &Written) {
    let mut places: HashMap<u64, Vec<(PartitionId, Offset)>> = HashMap::new();
    for partition in 0..log.partitions(Stream::Events) {
        let partition = PartitionId(partition);
        for (number, offset) in read_all(log, partition) {
            places.entry(number).or_default().push((partition, offset));
        }
    }
    let mut last: HashMap<u64, Offset> = HashMap::new();
    for acked in &written.acked {
        for number in acked.numbers.clone() {
            let found = places.get(&number).map_or(&[][..], Vec::as_slice);
            let [(partition, offset)] = found else {
                panic!(
                    "{number} was acknowledged and is there {} times",
                    found.len()
                );
            };
            assert_eq!(*partition, acked.partition);
            assert!(acked.offsets.contains(offset), "{number} is elsewhere");
            let before = last.insert(number / STRIDE, *offset);
            assert!(
                before.is_none_or(|before| before < *offset),
                "{number} is out of order"
            );
        }
    }
}

/// The number of every event of a partition with its offset.
pub(crate) fn read_all(log: &KafkaLog, partition: PartitionId) -> Vec<(u64, Offset)> {
    let bounds = log.bounds(Stream::Events, partition).unwrap();
    let mut numbers = Vec::new();
    let mut next = bounds.earliest;
    while next < bounds.end {
        let batches = log.read(Stream::Events, partition, next, 1 << 20).unwrap();
        assert!(!batches.is_empty(), "nothing at {next} of {bounds:?}");
        for (offset, record) in batches.iter().flat_map(StoredBatch::records) {
            if offset < next {
                continue;
            }
            assert_eq!(offset, next, "offsets have no gaps");
            let Ok(Record::Event(event)) = record else {
                panic!("only events were appended");
            };
            numbers.push((event.event_id.parse().unwrap(), offset));
            next += 1;
        }
    }
    numbers
}
