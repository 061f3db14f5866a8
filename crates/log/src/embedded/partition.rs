//! One partition: its queue, and what readers may see of it.

use super::queue::Queue;
use super::recovery::{ActiveSegment, Recovered};
use super::segment::Segment;
use crate::ack::AppendAck;
use crate::batch::{RecordBatch, StoredBatch};
use crate::config::LogConfig;
use crate::error::LogError;
use crate::event_log::{Bounds, starts_protected};
use nowcast_types::{Offset, PartitionId, Stream, Timestamp};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Stream and number, displayed as the name of the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartitionName {
    pub(super) stream: Stream,
    pub(super) partition: PartitionId,
}

impl fmt::Display for PartitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:03}", self.stream.name(), self.partition.0)
    }
}

/// Counters of one partition since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionStats {
    /// Group commits that succeeded.
    pub commits: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes written by them, frame headers included.
    pub bytes: u64,
    /// Time spent in their syncs, in nanoseconds.
    pub sync_ns: u64,
    /// Bytes that wait for a commit now.
    pub queued_bytes: usize,
    /// Segment files now.
    pub segments: usize,
    /// Whether a disk failure has stopped appends until the log is opened again.
    pub is_poisoned: bool,
}

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) name: PartitionName,
    pub(super) dir: PathBuf,
    pub(super) queue: Queue,
    view: Mutex<View>,
    has_grown: Condvar,
    /// Held while segments are retired.
    pub(super) retiring: Mutex<Retiring>,
    commits: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
    sync_ns: AtomicU64,
}

/// Whether retention may go on.
#[derive(Debug, Default)]
pub(super) struct Retiring {
    /// A retirement failed half-way. Another one could leave a hole before what it left behind.
    pub(super) has_failed: bool,
}

/// What readers see: only what is durable.
#[derive(Debug)]
pub(super) struct View {
    /// Ascending; the last one is being written.
    pub(super) segments: VecDeque<Arc<Segment>>,
    pub(super) end: Offset,
    /// The latest groups, contiguous up to `end`.
    pub(super) tail: VecDeque<StoredBatch>,
    tail_bytes: usize,
    pub(super) protected: Offset,
    pub(super) max_timestamp: Timestamp,
}

impl View {
    pub(super) fn earliest(&self) -> Offset {
        self.segments.front().map_or(self.end, |first| first.base)
    }
}

/// What a successful commit did.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) batch: StoredBatch,
    pub(super) bytes: u64,
    pub(super) sync: Duration,
}

impl Partition {
    /// The partition as it was found on disk, and what its writer continues.
    pub(super) fn new(
        name: PartitionName,
        dir: PathBuf,
        recovered: Recovered,
    ) -> (Self, Option<ActiveSegment>) {
        let protected = if starts_protected(name.stream) {
            0
        } else {
            Offset::MAX
        };
        let partition = Self {
            name,
            dir,
            queue: Queue::new(name),
            view: Mutex::new(View {
                segments: recovered.segments,
                end: recovered.end,
                tail: VecDeque::new(),
                tail_bytes: 0,
                protected,
                max_timestamp: recovered.max_timestamp,
            }),
            has_grown: Condvar::new(),
            retiring: Mutex::default(),
            commits: AtomicU64::new(0),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            sync_ns: AtomicU64::new(0),
        };
        (partition, recovered.active)
    }

    pub(super) fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock()
    }

    pub(super) fn enqueue(
        &self,
        batch: RecordBatch,
        config: &LogConfig,
    ) -> Result<AppendAck, LogError> {
        self.queue.push(batch, config)
    }

    pub(super) fn close(&self) {
        self.queue.close();
    }

    pub(super) fn bounds(&self) -> Bounds {
        let view = self.view.lock();
        Bounds {
            earliest: view.earliest(),
            end: view.end,
        }
    }

    pub(super) fn protect(&self, offset: Offset) {
        self.view.lock().protected = offset;
    }

    pub(super) fn wait_beyond(&self, offset: Offset, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut view = self.view.lock();
        while view.end <= offset {
            if self.has_grown.wait_until(&mut view, deadline).timed_out() {
                return view.end > offset;
            }
        }
        true
    }

    /// Shows readers a group that is durable.
    pub(super) fn publish(&self, committed: Committed, tail_bytes_max: usize) {
        let Committed { batch, bytes, sync } = committed;
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.records
            .fetch_add(u64::from(batch.count()), Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.sync_ns
            .fetch_add(sync.as_nanos() as u64, Ordering::Relaxed);
        let mut view = self.view.lock();
        debug_assert_eq!(
            view.end,
            batch.base_offset(),
            "groups are published in order"
        );
        view.end = batch.end_offset();
        view.max_timestamp = view.max_timestamp.max(batch.max_timestamp());
        view.tail_bytes += batch.byte_len();
        view.tail.push_back(batch);
        let mut evicted = Vec::new();
        while view.tail_bytes > tail_bytes_max
            && let Some(oldest) = view.tail.pop_front()
        {
            view.tail_bytes -= oldest.byte_len();
            evicted.push(oldest);
        }
        drop(view);
        self.has_grown.notify_all();
        // Freed outside of the lock.
        drop(evicted);
    }

    pub(super) fn stats(&self) -> PartitionStats {
        PartitionStats {
            commits: self.commits.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            sync_ns: self.sync_ns.load(Ordering::Relaxed),
            queued_bytes: self.queue.queued_bytes(),
            segments: self.view.lock().segments.len(),
            is_poisoned: self.queue.is_poisoned(),
        }
    }
}
