//! A log in memory whose answers a test may change.

use crate::rig::PARTITIONS;
use nowcast_log::{AppendAck, Bounds, EventLog, LogError, MemoryLog, RecordBatch, StoredBatch};
use nowcast_types::{Offset, PartitionId, Stream};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// What happens instead of the log's own answers; nothing, if not said.
pub(crate) trait Tamper: Send + Sync {
    fn append(
        &self,
        log: &MemoryLog,
        stream: Stream,
        partition: PartitionId,
        batch: RecordBatch,
    ) -> AppendAck {
        log.append(stream, partition, batch)
    }

    fn read(
        &self,
        log: &MemoryLog,
        (stream, partition): (Stream, PartitionId),
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<StoredBatch>, LogError> {
        log.read(stream, partition, from, bytes_max)
    }

    fn bounds(
        &self,
        log: &MemoryLog,
        stream: Stream,
        partition: PartitionId,
    ) -> Result<Bounds, LogError> {
        log.bounds(stream, partition)
    }
}

/// A log and what is done to it, whose fields are at hand.
pub(crate) struct TamperedLog<T> {
    inner: MemoryLog,
    tamper: T,
}

impl<T> TamperedLog<T> {
    pub(crate) fn new(tamper: T) -> Arc<Self> {
        let inner = MemoryLog::new(PARTITIONS);
        Arc::new(Self { inner, tamper })
    }
}

impl<T> Deref for TamperedLog<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.tamper
    }
}

impl<T: Tamper> EventLog for TamperedLog<T> {
    fn append(&self, stream: Stream, partition: PartitionId, batch: RecordBatch) -> AppendAck {
        self.tamper.append(&self.inner, stream, partition, batch)
    }

    fn read(
        &self,
        stream: Stream,
        partition: PartitionId,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<StoredBatch>, LogError> {
        let place = (stream, partition);
        self.tamper.read(&self.inner, place, from, bytes_max)
    }

    fn bounds(&self, stream: Stream, partition: PartitionId) -> Result<Bounds, LogError> {
        self.tamper.bounds(&self.inner, stream, partition)
    }

    fn wait_beyond(
        &self,
        stream: Stream,
        partition: PartitionId,
        offset: Offset,
        timeout: Duration,
    ) -> bool {
        self.inner.wait_beyond(stream, partition, offset, timeout)
    }

    fn protect(
        &self,
        stream: Stream,
        partition: PartitionId,
        offset: Offset,
    ) -> Result<(), LogError> {
        self.inner.protect(stream, partition, offset)
    }

    fn truncate_before(
        &self,
        stream: Stream,
        partition: PartitionId,
        offset: Offset,
    ) -> Result<(), LogError> {
        self.inner.truncate_before(stream, partition, offset)
    }

    fn partitions(&self, stream: Stream) -> u16 {
        self.inner.partitions(stream)
    }
}
