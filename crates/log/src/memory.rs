//! A log in memory: the contract of [`EventLog`] without a disk.
//!
//! For tests and for replays of what is durable elsewhere. It keeps everything until it is told to
//! truncate, so it has no queue and no retention.

use crate::ack::AppendAck;
use crate::batch::{RecordBatch, StoredBatch};
use crate::error::LogError;
use crate::event_log::{Bounds, EventLog, starts_protected};
use bytes::Bytes;
use nowcast_disk::frame::HEADER_LEN;
use nowcast_types::{Offset, PartitionId, Stream};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Streams of which nothing survives the process.
#[derive(Debug)]
pub struct MemoryLog {
    event_partitions: u16,
    partitions: Vec<Partition>,
}

#[derive(Debug)]
struct Partition {
    content: Mutex<Content>,
    has_grown: Condvar,
}

#[derive(Debug)]
struct Content {
    batches: VecDeque<StoredBatch>,
    earliest: Offset,
    end: Offset,
    protected: Offset,
}

impl MemoryLog {
    /// An empty log with `event_partitions` partitions of events.
    #[must_use]
    pub fn new(event_partitions: u16) -> Self {
        let mut partitions = Vec::new();
        for stream in Stream::ALL {
            for _ in 0..stream.partitions(event_partitions) {
                partitions.push(Partition {
                    content: Mutex::new(Content {
                        batches: VecDeque::new(),
                        earliest: 0,
                        end: 0,
                        protected: if starts_protected(stream) {
                            0
                        } else {
                            u64::MAX
                        },
                    }),
                    has_grown: Condvar::new(),
                });
            }
        }
        Self {
            event_partitions,
            partitions,
        }
    }

    fn partition(&self, stream: Stream, partition: PartitionId) -> Result<&Partition, LogError> {
        let index = partition_index(stream, partition, self.event_partitions)?;
        Ok(&self.partitions[index])
    }
}

/// Where a partition stands in a list of all partitions of all streams.
pub(crate) fn partition_index(
    stream: Stream,
    partition: PartitionId,
    event_partitions: u16,
) -> Result<usize, LogError> {
    if partition.0 >= stream.partitions(event_partitions) {
        return Err(LogError::NoPartition { stream, partition });
    }
    let before = Stream::ALL.iter().take_while(|other| **other != stream);
    let before: u16 = before.map(|other| other.partitions(event_partitions)).sum();
    Ok(usize::from(before + partition.0))
}

impl EventLog for MemoryLog {
    fn append(&self, stream: Stream, partition: PartitionId, batch: RecordBatch) -> AppendAck {
        let partition = match self.partition(stream, partition) {
            Ok(partition) => partition,
            Err(error) => return AppendAck::ready(Err(error)),
        };
        if let Err(error) = batch.check() {
            return AppendAck::ready(Err(error));
        }
        let (count, max_timestamp) = (batch.len() as u32, batch.max_timestamp());
        let payload = Bytes::from(batch.into_buffer()).slice(HEADER_LEN..);
        let mut content = partition.content.lock();
        let start = content.end;
        content.end += u64::from(count);
        let stored = StoredBatch::new(payload, start, count, max_timestamp);
        content.batches.push_back(stored);
        let offsets = start..content.end;
        drop(content);
        partition.has_grown.notify_all();
        AppendAck::ready(Ok(offsets))
    }

    fn read(
        &self,
        stream: Stream,
        partition: PartitionId,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<StoredBatch>, LogError> {
        let content = self.partition(stream, partition)?.content.lock();
        check_range(from, content.earliest, content.end)?;
        Ok(take_batches(&content.batches, from, bytes_max))
    }

    fn bounds(&self, stream: Stream, partition: PartitionId) -> Result<Bounds, LogError> {
        let content = self.partition(stream, partition)?.content.lock();
        Ok(Bounds {
            earliest: content.earliest,
            end: content.end,
        })
    }

    fn wait_beyond(
        &self,
        stream: Stream,
        partition: PartitionId,
        offset: Offset,
        timeout: Duration,
    ) -> bool {
        let Ok(partition) = self.partition(stream, partition) else {
            return false;
        };
        let deadline = Instant::now() + timeout;
        let mut content = partition.content.lock();
        while content.end <= offset {
            if partition
                .has_grown
                .wait_until(&mut content, deadline)
                .timed_out()
            {
                return content.end > offset;
            }
        }
        true
    }

    fn protect(
        &self,
        stream: Stream,
        partition: PartitionId,
        offset: Offset,
    ) -> Result<(), LogError> {
        self.partition(stream, partition)?.content.lock().protected = offset;
        Ok(())
    }

    fn truncate_before(
        &self,
        stream: Stream,
        partition: PartitionId,
        offset: Offset,
    ) -> Result<(), LogError> {
        let mut content = self.partition(stream, partition)?.content.lock();
        let limit = offset.min(content.protected);
        while let Some(first) = content.batches.front()
            && first.end_offset() <= limit
        {
            content.earliest = first.end_offset();
            content.batches.pop_front();
        }
        Ok(())
    }

    fn partitions(&self, stream: Stream) -> u16 {
        stream.partitions(self.event_partitions)
    }
}

/// Refuses offsets outside of what a partition holds; its end is inside.
pub(crate) fn check_range(from: Offset, earliest: Offset, end: Offset) -> Result<(), LogError> {
    if (earliest..=end).contains(&from) {
        return Ok(());
    }
    Err(LogError::OutOfRange {
        offset: from,
        earliest,
        end,
    })
}

/// The batches from the one that holds `from`, up to `bytes_max` but at least one.
pub(crate) fn take_batches(
    batches: &VecDeque<StoredBatch>,
    from: Offset,
    bytes_max: usize,
) -> Vec<StoredBatch> {
    let start = batches.partition_point(|batch| batch.end_offset() <= from);
    let mut taken = Vec::new();
    let mut bytes = 0;
    for batch in batches.range(start..) {
        bytes += batch.byte_len();
        if !taken.is_empty() && bytes > bytes_max {
            break;
        }
        taken.push(batch.clone());
    }
    taken
}
