//! The trait every log implements, and its contract.

use crate::ack::AppendAck;
use crate::batch::{RecordBatch, StoredBatch};
use crate::error::LogError;
use nowcast_types::{Offset, PartitionId, Stream};
use std::time::Duration;

/// What a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset that can be read.
    pub earliest: Offset,
    /// One past the last acknowledged record.
    pub end: Offset,
}

/// Ordered, replayable, durable streams.
///
/// Per partition: records keep the order of their appends, offsets have no gaps, and what was
/// acknowledged is never lost, changed or reordered. A record whose append failed or was never
/// answered may be there or not: in whole batches where one process owns the log, record by record
/// where a broker does. There, other processes' records may also lie between those of one batch;
/// the acknowledged range then spans them, and its end is what a reader waits for.
pub trait EventLog: Send + Sync {
    /// Queues a batch. Returns at once; the [`AppendAck`] completes when the batch is durable.
    ///
    /// It completes with [`LogError::Overloaded`] when the queue is full: nothing was queued.
    fn append(&self, stream: Stream, partition: PartitionId, batch: RecordBatch) -> AppendAck;

    /// Reads acknowledged batches, in order, from the one that holds `from` (which may begin
    /// before it: the caller skips). Stops after `bytes_max` bytes, but returns at least one batch
    /// if there is one. At the end of the log the answer is empty.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] before the earliest offset or beyond the end;
    /// [`LogError::Corrupt`] on damage.
    fn read(
        &self,
        stream: Stream,
        partition: PartitionId,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<StoredBatch>, LogError>;

    /// What the partition holds now.
    ///
    /// # Errors
    /// [`LogError::NoPartition`].
    fn bounds(&self, stream: Stream, partition: PartitionId) -> Result<Bounds, LogError>;

    /// Blocks until the end is beyond `offset` or `timeout` has passed; says which. For threads.
    fn wait_beyond(
        &self,
        stream: Stream,
        partition: PartitionId,
        offset: Offset,
        timeout: Duration,
    ) -> bool;

    /// Allows retention to retire records below `offset`: whoever folds the partition has them in
    /// a durable checkpoint. Events, catalogue, schemas and examples start fully protected, the streams without a
    /// fold (dead letters, late) unprotected. The mark is not persisted.
    ///
    /// # Errors
    /// [`LogError::NoPartition`].
    fn protect(
        &self,
        stream: Stream,
        partition: PartitionId,
        offset: Offset,
    ) -> Result<(), LogError>;

    /// Retires what lies wholly before `offset`, as far as protection allows. A log may keep more.
    ///
    /// # Errors
    /// [`LogError::NoPartition`]; IO.
    fn truncate_before(
        &self,
        stream: Stream,
        partition: PartitionId,
        offset: Offset,
    ) -> Result<(), LogError>;

    /// Number of partitions of a stream.
    fn partitions(&self, stream: Stream) -> u16;
}

/// Whether retention may remove records of `stream` that no checkpoint covers.
#[must_use]
pub const fn starts_protected(stream: Stream) -> bool {
    match stream {
        Stream::Events | Stream::Catalog | Stream::Schemas | Stream::Examples => true,
        Stream::DeadLetters | Stream::Late => false,
    }
}
