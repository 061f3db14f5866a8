//! Appends on their way to the writer thread, gathered into groups.
//!
//! Natural batching: while the writer syncs one group, everything that arrives is copied into the
//! next. An idle partition commits a lone batch at once, a busy one commits many with one sync.

use super::partition::PartitionName;
use crate::ack::{AppendAck, GroupAck};
use crate::batch::RecordBatch;
use crate::config::LogConfig;
use crate::error::LogError;
use nowcast_disk::frame::HEADER_LEN;
use nowcast_types::Timestamp;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Batches that are committed together.
#[derive(Debug)]
pub(super) struct Group {
    /// Room for a frame header, then the records of all batches.
    pub(super) buffer: Vec<u8>,
    pub(super) count: u32,
    pub(super) max_timestamp: Timestamp,
    pub(super) ack: Arc<GroupAck>,
}

impl Group {
    fn new(batch: RecordBatch) -> Self {
        Self {
            count: batch.len() as u32,
            max_timestamp: batch.max_timestamp(),
            buffer: batch.into_buffer(),
            ack: Arc::default(),
        }
    }

    pub(super) fn byte_len(&self) -> usize {
        self.buffer.len() - HEADER_LEN
    }
}

/// What the writer does next.
#[derive(Debug)]
pub(super) enum Work {
    Commit(Group),
    /// Nothing came for a while.
    Idle,
    /// The log closes and all groups are done.
    Close,
}

#[derive(Debug)]
pub(super) struct Queue {
    name: PartitionName,
    state: Mutex<QueueState>,
    has_work: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    groups: VecDeque<Group>,
    /// Bytes of the groups here and of the one being written.
    queued_bytes: usize,
    is_closing: bool,
    /// Why nothing can be appended any more.
    poison: Option<String>,
}

impl Queue {
    pub(super) fn new(name: PartitionName) -> Self {
        Self {
            name,
            state: Mutex::default(),
            has_work: Condvar::new(),
        }
    }

    /// Adds a batch to the youngest group that has room.
    pub(super) fn push(
        &self,
        batch: RecordBatch,
        config: &LogConfig,
    ) -> Result<AppendAck, LogError> {
        let len = batch.byte_len();
        let mut state = self.state.lock();
        self.check_open(&state)?;
        let queued_bytes = state.queued_bytes;
        if queued_bytes > 0 && queued_bytes + len > config.queue_bytes_max.bytes() as usize {
            return Err(LogError::Overloaded {
                stream: self.name.stream,
                partition: self.name.partition,
                queued_bytes,
            });
        }
        state.queued_bytes += len;
        let count = batch.len() as u64;
        let group_bytes_max = config.group_bytes_max.bytes() as usize;
        let ack = match state.groups.back_mut() {
            Some(group) if group.byte_len() + len <= group_bytes_max => {
                let first = u64::from(group.count);
                group.buffer.extend_from_slice(batch.payload());
                group.count += batch.len() as u32;
                group.max_timestamp = group.max_timestamp.max(batch.max_timestamp());
                AppendAck::pending(group.ack.clone(), first, count)
            }
            _ => {
                let group = Group::new(batch);
                let ack = AppendAck::pending(group.ack.clone(), 0, count);
                state.groups.push_back(group);
                ack
            }
        };
        drop(state);
        self.has_work.notify_one();
        Ok(ack)
    }

    fn check_open(&self, state: &QueueState) -> Result<(), LogError> {
        let reason = match &state.poison {
            Some(reason) => reason.clone(),
            None if state.is_closing => "the log is closing".to_owned(),
            None => return Ok(()),
        };
        Err(self.unavailable(reason))
    }

    pub(super) fn unavailable(&self, reason: String) -> LogError {
        LogError::Unavailable {
            stream: self.name.stream,
            partition: self.name.partition,
            reason,
        }
    }

    /// Waits for a group. `idle_after` limits the wait; `None` waits for ever.
    pub(super) fn next(&self, config: &LogConfig, idle_after: Option<Duration>) -> Work {
        let idle_at = idle_after.map(|span| Instant::now() + span);
        let mut state = self.state.lock();
        while state.groups.is_empty() {
            if state.is_closing {
                return Work::Close;
            }
            match idle_at {
                Some(at) => {
                    let wait = self.has_work.wait_until(&mut state, at);
                    if wait.timed_out() && state.groups.is_empty() && !state.is_closing {
                        return Work::Idle;
                    }
                }
                None => self.has_work.wait(&mut state),
            }
        }
        if config.commit_delay_max.ms() > 0 {
            let until = Instant::now() + config.commit_delay_max.duration();
            while state.groups.len() == 1
                && !state.is_closing
                && state.groups[0].byte_len() < config.group_bytes_max.bytes() as usize
                && !self.has_work.wait_until(&mut state, until).timed_out()
            {}
        }
        let group = state.groups.pop_front();
        group.map_or(Work::Idle, Work::Commit)
    }

    /// Takes the bytes of a finished group off the bill.
    pub(super) fn finish(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.queued_bytes = state.queued_bytes.saturating_sub(bytes);
    }

    /// Lets the writer finish what is here and then end.
    pub(super) fn close(&self) {
        self.state.lock().is_closing = true;
        self.has_work.notify_all();
    }

    /// Stops the partition for good: everything queued and everything to come is refused.
    pub(super) fn poison(&self, reason: &str) {
        let mut state = self.state.lock();
        if state.poison.is_none() {
            state.poison = Some(reason.to_owned());
        }
        let groups = std::mem::take(&mut state.groups);
        state.queued_bytes = 0;
        drop(state);
        for group in groups {
            group.ack.complete(Err(self.unavailable(reason.to_owned())));
        }
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.state.lock().queued_bytes
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.state.lock().poison.is_some()
    }
}
