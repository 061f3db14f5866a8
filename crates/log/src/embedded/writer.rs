//! The thread that owns the end of one partition: commit, roll, mark.
//!
//! The order is always write, sync, show, acknowledge. A failure of the disk anywhere between
//! write and acknowledgement stops the partition: what the disk holds is then unknown, and only
//! reading it again (opening the log) can tell.

use super::Shared;
use super::partition::{Committed, Partition};
use super::queue::{Group, Work};
use super::recovery::ActiveSegment;
use super::retention;
use super::segment::{GROUPS_START, NewSegment, Segment, kind};
use crate::batch::StoredBatch;
use crate::error::LogError;
use bytes::Bytes;
use nowcast_disk::DiskError;
use nowcast_disk::failpoint::hit;
use nowcast_disk::frame::{HEADER_LEN, frame_len, seal_frame};
use nowcast_types::Offset;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a partition is quiet before its end is marked.
const IDLE_BEFORE_MARK: Duration = Duration::from_millis(5);
/// Growth of a segment that was not written before.
const GROWTH_BYTES_MIN: u64 = 1 << 20;
const GROWTH_BYTES_MAX: u64 = 8 << 20;

/// What to do about an error before anything was acknowledged.
enum Failure {
    /// Nothing changed: refuse this group and go on.
    Refuse(String),
    /// What the disk holds is unknown: stop.
    Stop(String),
}

/// The writer of one partition.
pub(super) struct Writer {
    shared: Arc<Shared>,
    partition: Arc<Partition>,
    active: Option<ActiveSegment>,
    end: Offset,
    is_poisoned: bool,
}

/// Refuses what is queued if the writer panics, so that nobody waits for ever.
struct PoisonOnPanic(Arc<Partition>);

impl Drop for PoisonOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.queue.poison("its writer panicked, which is a bug");
        }
    }
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        partition: Arc<Partition>,
        active: Option<ActiveSegment>,
    ) -> Self {
        let end = partition.view().end;
        Self {
            shared,
            partition,
            active,
            end,
            is_poisoned: false,
        }
    }

    /// Commits groups until the log closes.
    pub(super) fn run(mut self) {
        let _guard = PoisonOnPanic(self.partition.clone());
        loop {
            let needs_mark = self.active.as_ref().is_some_and(|active| !active.is_marked);
            let idle_after = (needs_mark && !self.is_poisoned).then_some(IDLE_BEFORE_MARK);
            match self.partition.queue.next(&self.shared.config, idle_after) {
                Work::Commit(group) => self.commit(group),
                Work::Idle => self.mark(),
                Work::Close => break,
            }
        }
        if !self.is_poisoned {
            self.mark();
            self.sync_mark();
        }
    }

    fn commit(&mut self, mut group: Group) {
        let queued_bytes = group.byte_len();
        let ack = group.ack.clone();
        let base = self.end;
        let outcome = if self.is_poisoned {
            Err(Failure::Stop("its disk failed before".to_owned()))
        } else {
            self.write(&mut group)
        };
        match outcome {
            Ok(committed) => {
                self.end = committed.batch.end_offset();
                let tail_bytes_max = self.shared.config.tail_cache_bytes.bytes() as usize;
                self.partition.publish(committed, tail_bytes_max);
                self.partition.queue.finish(queued_bytes);
                ack.complete(Ok(base));
                hit("log.commit.acknowledged");
            }
            Err(Failure::Refuse(reason)) => {
                tracing::error!(partition = %self.partition.name, reason, "append refused");
                self.partition.queue.finish(queued_bytes);
                ack.complete(Err(self.partition.queue.unavailable(reason)));
            }
            Err(Failure::Stop(reason)) => {
                self.poison(&reason);
                ack.complete(Err(self.partition.queue.unavailable(reason)));
            }
        }
    }

    /// Makes one group durable.
    fn write(&mut self, group: &mut Group) -> Result<Committed, Failure> {
        hit("log.commit.before");
        let (payload_len, count) = (group.byte_len(), group.count);
        let len = frame_len(payload_len) as u64;
        self.make_room(len)?;
        let is_grown = self.grow(len)?;
        let interval = self.shared.config.index_interval_bytes.bytes();
        let active = self.active.as_mut().expect("make_room leaves a segment");
        let segment = &active.segment;
        let header = segment.frame_header(kind::GROUP, self.end, count, group.max_timestamp);
        let mut frame = std::mem::take(&mut group.buffer);
        seal_frame(&mut frame, &header);
        active.is_marked = false;
        segment
            .file
            .write_at(&frame, active.position)
            .map_err(stop)?;
        hit("log.commit.written");
        let started = Instant::now();
        let synced = if is_grown {
            segment.file.sync_all()
        } else {
            segment.file.sync_data()
        };
        synced.map_err(stop)?;
        hit("log.commit.synced");
        let sync = started.elapsed();
        segment.index_group(self.end, active.position, interval);
        active.position += len;
        let payload = Bytes::from(frame).slice(HEADER_LEN..HEADER_LEN + payload_len);
        let batch = StoredBatch::new(payload, self.end, count, group.max_timestamp);
        Ok(Committed {
            batch,
            bytes: len,
            sync,
        })
    }

    /// Starts a new segment if there is none or the frame does not fit.
    fn make_room(&mut self, len: u64) -> Result<(), Failure> {
        let segment_bytes = self.shared.config.segment_bytes.bytes();
        if let Some(active) = &self.active {
            let is_empty = active.position == GROUPS_START;
            if is_empty || active.position + len + HEADER_LEN as u64 <= segment_bytes {
                return Ok(());
            }
        }
        self.roll()?;
        let now = self.partition.view().max_timestamp;
        if let Err(error) = retention::enforce(&self.shared, &self.partition, now) {
            tracing::warn!(partition = %self.partition.name, %error, "retention stopped");
        }
        Ok(())
    }

    fn roll(&mut self) -> Result<(), Failure> {
        let new = NewSegment {
            name: self.partition.name,
            base: self.end,
            base_before: self.active.as_ref().map(|active| active.segment.base),
            max_timestamp_before: self.partition.view().max_timestamp,
        };
        let shared = &self.shared;
        let spare = shared.spares.take().map_err(refuse_if_full)?;
        let segment = Segment::prepare(shared, &self.partition.dir, &spare, new).map_err(|e| {
            shared.spares.discard(&spare);
            refuse_if_full(e)
        })?;
        // From here on a segment of this base may exist: going on in the old one would fork.
        segment.publish(shared, &spare).map_err(stop)?;
        let allocated = segment.file.len().map_err(stop)?;
        let segment = Arc::new(segment);
        self.partition.view().segments.push_back(segment.clone());
        self.active = Some(ActiveSegment {
            segment,
            position: GROUPS_START,
            allocated,
            is_marked: false,
            has_asked_for_spare: false,
        });
        Ok(())
    }

    /// Writes zeros ahead where the file ends before the frame and a mark would; whether it did.
    fn grow(&mut self, len: u64) -> Result<bool, Failure> {
        let segment_bytes = self.shared.config.segment_bytes.bytes();
        let active = self.active.as_mut().expect("make_room leaves a segment");
        let needed = active.position + len + HEADER_LEN as u64;
        if needed > segment_bytes / 2 && !active.has_asked_for_spare {
            active.has_asked_for_spare = true;
            self.shared.spares.request();
        }
        if needed <= active.allocated {
            return Ok(false);
        }
        let growth = active.position.clamp(GROWTH_BYTES_MIN, GROWTH_BYTES_MAX);
        let wanted = (needed + growth).min(segment_bytes).max(needed);
        active
            .segment
            .file
            .allocate(wanted)
            .map_err(refuse_if_full)?;
        active.allocated = wanted;
        Ok(true)
    }

    /// Marks the end, so that damage before it is told from a torn write. Not synced: if it is
    /// lost, nothing but that knowledge is.
    fn mark(&mut self) {
        let Some(active) = self.active.as_mut().filter(|active| !active.is_marked) else {
            return;
        };
        let mark = active.segment.mark(self.end);
        match active.segment.file.write_at(&mark, active.position) {
            Ok(()) => active.is_marked = true,
            Err(error) => self.poison(&error.to_string()),
        }
    }

    fn sync_mark(&mut self) {
        let synced = self
            .active
            .as_ref()
            .map(|active| active.segment.file.sync_data());
        if let Some(Err(error)) = synced {
            tracing::warn!(partition = %self.partition.name, %error, "closed without a mark");
        }
    }

    fn poison(&mut self, reason: &str) {
        if !self.is_poisoned {
            self.is_poisoned = true;
            tracing::error!(
                partition = %self.partition.name,
                reason,
                "the partition stops; open the log again to recover it"
            );
        }
        self.partition.queue.poison(reason);
    }
}

fn stop(error: impl Into<LogError>) -> Failure {
    Failure::Stop(error.into().to_string())
}

/// A full disk passes; before the group is written it is no reason to stop.
fn refuse_if_full(error: impl Into<LogError>) -> Failure {
    let error = error.into();
    match &error {
        LogError::Disk(disk) if DiskError::is_disk_full(disk) => Failure::Refuse(error.to_string()),
        _ => Failure::Stop(error.to_string()),
    }
}
