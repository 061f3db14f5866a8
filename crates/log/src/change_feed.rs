//! Entries that the owners of partitions publish for those who follow them, beside the streams.
//!
//! The log knows nothing of what is in an entry. An entry is a hint and never the only copy of
//! anything: who misses some reads the owner's store instead, so a feed may forget early.

use crate::ack::AppendAck;
use crate::error::LogError;
use crate::event_log::Bounds;
use nowcast_types::{Offset, PartitionId};
use std::time::Duration;

/// One feed for each partition of the events.
pub trait ChangeFeed: Send + Sync {
    /// Publishes an entry behind all others; the offset it got is in the answer.
    fn publish(&self, partition: PartitionId, entry: &[u8]) -> AppendAck;

    /// Entries in order, each with its offset, the first at `from` or later. Stops after
    /// `bytes_max` bytes, but returns at least one entry if there is one.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] if `from` has been forgotten; the brokers are away.
    fn entries(
        &self,
        partition: PartitionId,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<(Offset, Vec<u8>)>, LogError>;

    /// What the feed of a partition holds now.
    ///
    /// # Errors
    /// [`LogError::NoPartition`]; the brokers are away.
    fn feed_bounds(&self, partition: PartitionId) -> Result<Bounds, LogError>;

    /// Blocks until the end is beyond `offset` or `timeout` has passed; says which. For threads.
    fn wait_entries(&self, partition: PartitionId, offset: Offset, timeout: Duration) -> bool;

    /// The largest entry that can be published, in bytes.
    fn entry_bytes_max(&self) -> usize;
}
