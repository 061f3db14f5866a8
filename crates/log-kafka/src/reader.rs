//! Reading partitions: a few consumers, and cursors that stand at the places where readers are.
//!
//! A reader of the log keeps its own position and asks for what is at it. A cursor is one assigned
//! partition of one consumer (a lane): what librdkafka has fetched ahead is drained straight into
//! a batch by the thread that asks, one copy per record. Batches stay for a while, so that several
//! readers of the same end share one cursor. A reader elsewhere gets a cursor on the next lane;
//! when all lanes are taken, the one unused for longest moves.
//!
//! Brokers give consumers nothing above the high watermark, so nothing read here can be lost.

mod cursor;
mod lane;

pub(crate) use cursor::Cursor;
use cursor::{CursorState, Drained};
use lane::Lane;

use crate::channel::Channel;
use crate::client;
use crate::config::KafkaConfig;
use crate::error::KafkaLogError;
use nowcast_log::{Bounds, LogError, StoredBatch};
use nowcast_types::Offset;
use parking_lot::Mutex;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long one attempt to fetch or to ask blocks.
const STEP: Duration = Duration::from_millis(50);
/// Pause after a failed attempt.
const PAUSE: Duration = Duration::from_millis(20);
/// Bytes drained when someone waits for the end to move.
const WAIT_DRAIN_BYTES: usize = 256 << 10;

pub(crate) struct Reader {
    config: KafkaConfig,
    lanes: Mutex<Vec<Arc<Lane>>>,
    /// Orders uses of cursors.
    clock: AtomicU64,
}

impl Reader {
    pub(crate) fn new(config: &KafkaConfig) -> Result<Self, KafkaLogError> {
        let reader = Self {
            config: config.clone(),
            lanes: Mutex::new(Vec::new()),
            clock: AtomicU64::new(1),
        };
        reader.lane(0)?;
        Ok(reader)
    }

    fn lane(&self, number: usize) -> Result<Arc<Lane>, KafkaLogError> {
        let mut lanes = self.lanes.lock();
        while lanes.len() <= number {
            lanes.push(Arc::new(Lane::start(&self.config)?));
        }
        Ok(lanes[number].clone())
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.config.read_timeout.duration()
    }

    /// What the partition holds, as its leader says now.
    pub(crate) fn bounds(&self, channel: &Channel) -> Result<Bounds, LogError> {
        let lane = self
            .lane(0)
            .map_err(|error| channel.unavailable(error.to_string()))?;
        let deadline = self.deadline();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = left.min(self.config.request_timeout.duration() / 2);
            let partition = channel.native_partition();
            let asked = lane
                .consumer
                .fetch_watermarks(&channel.name, partition, patience);
            match asked {
                Ok((low, high)) if low >= 0 && high >= 0 => {
                    channel.end.note(high as Offset);
                    return Ok(Bounds {
                        earliest: low as Offset,
                        end: channel.end.get(),
                    });
                }
                Ok(_) => {}
                Err(error) if Instant::now() >= deadline => {
                    return Err(channel.unavailable(format!("bounds: {error}")));
                }
                Err(_) => {}
            }
            thread::sleep(PAUSE);
        }
    }

    /// See [`nowcast_log::EventLog::read`].
    pub(crate) fn read(
        &self,
        channel: &Arc<Channel>,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<StoredBatch>, LogError> {
        let deadline = self.deadline();
        let mut wait = Duration::ZERO;
        loop {
            let cursor = self.cursor(channel, from)?;
            let mut state = cursor.state.lock();
            if !state.covers(from) {
                self.place(channel, &mut state, from)?;
            }
            if from == state.next() {
                self.drain(channel, &mut state, bytes_max, wait)?;
            }
            cursor.publish(&state, self.clock.fetch_add(1, Ordering::Relaxed));
            let end = channel.end.get();
            let lag = end.saturating_sub(state.next());
            channel.metrics.lag_records.set(lag as f64);
            if state.covers(from) && from < state.next() {
                return Ok(state.take(from, bytes_max));
            }
            if end <= from {
                return Ok(Vec::new());
            }
            // The record is there; it is a matter of time until it is fetched.
            if Instant::now() >= deadline {
                // The next read begins with a seek, should this consumer be stuck.
                state.forget();
                cursor.publish(&state, self.clock.fetch_add(1, Ordering::Relaxed));
                let reason = format!("no broker has answered a read at {from}");
                return Err(channel.unavailable(reason));
            }
            wait = STEP;
        }
    }

    /// See [`nowcast_log::EventLog::wait_beyond`].
    pub(crate) fn wait_beyond(
        &self,
        channel: &Arc<Channel>,
        offset: Offset,
        timeout: Duration,
    ) -> bool {
        let deadline = Instant::now() + timeout;
        loop {
            let seen = channel.end.ticks();
            if channel.end.get() > offset {
                return true;
            }
            if let Err(error) = self.look_ahead(channel, offset) {
                tracing::debug!(%error, "cannot look for new records");
            }
            if channel.end.get() > offset {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            // A fault wakes nobody, so the wait has an end of its own.
            channel
                .end
                .wait_news(seen, deadline.min(Instant::now() + 10 * STEP));
        }
    }

    /// Drains what has arrived at the end, so that the known end moves.
    fn look_ahead(&self, channel: &Arc<Channel>, offset: Offset) -> Result<(), LogError> {
        let at = if channel.end.get() == 0 {
            offset.min(self.bounds(channel)?.end)
        } else {
            offset.min(channel.end.get())
        };
        let cursor = self.cursor(channel, at)?;
        let mut state = cursor.state.lock();
        if !state.covers(at) {
            self.place(channel, &mut state, at)?;
        }
        // What waits in the cursor is beyond the known end in any case.
        if at == state.next() {
            self.drain(channel, &mut state, WAIT_DRAIN_BYTES, Duration::ZERO)?;
        }
        cursor.publish(&state, self.clock.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }

    /// The cursor that has `from`, or a free one, or the one unused for longest.
    fn cursor(&self, channel: &Arc<Channel>, from: Offset) -> Result<Arc<Cursor>, LogError> {
        let mut cursors = channel.cursors.lock();
        if let Some(cursor) = cursors.iter().find(|cursor| cursor.seems_to_cover(from)) {
            return Ok(cursor.clone());
        }
        if cursors.len() < self.config.readers_max {
            let made = self
                .lane(cursors.len())
                .and_then(|lane| Cursor::new(&lane, channel));
            let cursor = Arc::new(made.map_err(|e| channel.unavailable(e.to_string()))?);
            cursors.push(cursor.clone());
            return Ok(cursor);
        }
        let oldest = cursors.iter().min_by_key(|cursor| cursor.used_at());
        Ok(oldest.expect("there is at least one reader").clone())
    }

    /// Moves a cursor to `from`, which must be in the log.
    fn place(
        &self,
        channel: &Channel,
        state: &mut CursorState,
        from: Offset,
    ) -> Result<(), LogError> {
        let Bounds { earliest, end } = self.bounds(channel)?;
        if !(earliest..=end).contains(&from) {
            return Err(LogError::OutOfRange {
                offset: from,
                earliest,
                end,
            });
        }
        state
            .seek(channel, from, self.deadline())
            .map_err(|reason| channel.unavailable(reason))
    }

    fn drain(
        &self,
        channel: &Channel,
        state: &mut CursorState,
        bytes_max: usize,
        wait: Duration,
    ) -> Result<(), LogError> {
        let cache_bytes = self.config.tail_cache_bytes.bytes() as usize;
        match state.drain(bytes_max, wait, cache_bytes) {
            Drained::Records => channel.end.note(state.next()),
            Drained::Nothing => {}
            Drained::Gap(found) => self.bridge(channel, state, found)?,
            // The position is gone from the log, or the leader is behind: look again.
            Drained::Misplaced => {
                let at = state.next();
                self.place(channel, state, at)?;
            }
        }
        Ok(())
    }

    /// Offsets without a record, before one at `found`: retention, or markers of foreign
    /// transactions. The latter become records that cannot be decoded, so that offsets keep
    /// counting.
    fn bridge(
        &self,
        channel: &Channel,
        state: &mut CursorState,
        found: Offset,
    ) -> Result<(), LogError> {
        let Bounds { earliest, end } = self.bounds(channel)?;
        let offset = state.next();
        if earliest > offset {
            state.forget();
            return Err(LogError::OutOfRange {
                offset,
                earliest,
                end,
            });
        }
        if !state.bridge(found) {
            let detail = format!("no records up to {found}");
            return Err(channel.corrupt(offset, detail));
        }
        channel.end.note(state.next());
        Ok(())
    }

    /// Deletes what lies before `offset`, for good.
    pub(crate) fn delete_before(&self, channel: &Channel, offset: Offset) -> Result<(), LogError> {
        let failed = |error: String| channel.unavailable(format!("delete records: {error}"));
        let admin = client::admin(&self.config).map_err(|e| failed(e.to_string()))?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(
            &channel.name,
            channel.native_partition(),
            rdkafka::Offset::Offset(offset as i64),
        )
        .map_err(|error| failed(error.to_string()))?;
        let options = rdkafka::admin::AdminOptions::new()
            .request_timeout(Some(self.config.read_timeout.duration()))
            .operation_timeout(Some(self.config.read_timeout.duration()));
        let deleted = client::wait_for(admin.delete_records(&list, &options))
            .map_err(|error| failed(error.to_string()))?;
        for element in deleted.elements() {
            element.error().map_err(|error| failed(error.to_string()))?;
        }
        Ok(())
    }
}
