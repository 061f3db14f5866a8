//! One place in one partition: the queue of what is fetched ahead, and the batches behind it.

use super::lane::Lane;
use crate::channel::Channel;
use crate::client::Link;
use crate::error::KafkaLogError;
use bytes::Bytes;
use nowcast_log::{LENGTH_BYTES, StoredBatch};
use nowcast_types::{Offset, Timestamp};
use parking_lot::Mutex;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Most offsets without a record that are bridged; more is not a marker but damage.
const GAP_MAX: u64 = 1 << 20;
/// How long one attempt to move a consumer may take.
const SEEK_STEP: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);
/// Where no cursor stands.
const NOWHERE: Offset = Offset::MAX;

pub(crate) struct Cursor {
    pub(super) state: Mutex<CursorState>,
    /// What the state covers, readable without its lock; a hint.
    start: AtomicU64,
    next: AtomicU64,
    used_at: AtomicU64,
}

pub(super) struct CursorState {
    /// Before its consumer, so that it is dropped first.
    queue: PartitionQueue<Link>,
    consumer: Arc<BaseConsumer<Link>>,
    is_assigned: bool,
    /// Where the next record goes; `NOWHERE` before the first seek and when the place is lost.
    next: Offset,
    /// Contiguous, and the last one ends at `next`.
    batches: VecDeque<StoredBatch>,
    cached_bytes: usize,
    /// A record that was fetched but no longer fitted into the batch before.
    held: Option<Record>,
}

struct Record {
    offset: Offset,
    at_ms: i64,
    value: Vec<u8>,
}

/// What a drain has found.
pub(super) enum Drained {
    Records,
    Nothing,
    /// The next record is at this offset, beyond the one expected.
    Gap(Offset),
    /// The broker knows no such position.
    Misplaced,
}

impl Cursor {
    pub(super) fn new(lane: &Lane, channel: &Arc<Channel>) -> Result<Self, KafkaLogError> {
        // Splitting before assigning: no record can slip into the consumer's common queue.
        let queue = lane
            .consumer
            .split_partition_queue(&channel.name, channel.native_partition());
        let Some(mut queue) = queue else {
            return Err(KafkaLogError::NoTopic {
                topic: channel.name.clone(),
                reason: "cannot be read".to_owned(),
            });
        };
        let waked = Arc::downgrade(channel);
        queue.set_nonempty_callback(move || {
            if let Some(channel) = waked.upgrade() {
                channel.end.wake();
            }
        });
        Ok(Self {
            state: Mutex::new(CursorState {
                consumer: lane.consumer.clone(),
                queue,
                is_assigned: false,
                next: NOWHERE,
                batches: VecDeque::new(),
                cached_bytes: 0,
                held: None,
            }),
            start: AtomicU64::new(NOWHERE),
            next: AtomicU64::new(NOWHERE),
            used_at: AtomicU64::new(0),
        })
    }

    pub(super) fn seems_to_cover(&self, offset: Offset) -> bool {
        let start = self.start.load(Ordering::Acquire);
        start <= offset && offset <= self.next.load(Ordering::Acquire)
    }

    pub(super) fn publish(&self, state: &CursorState, now: u64) {
        self.start.store(state.start(), Ordering::Release);
        self.next.store(state.next, Ordering::Release);
        self.used_at.store(now, Ordering::Release);
    }

    pub(super) fn used_at(&self) -> u64 {
        self.used_at.load(Ordering::Acquire)
    }
}

impl CursorState {
    fn start(&self) -> Offset {
        self.batches
            .front()
            .map_or(self.next, StoredBatch::base_offset)
    }

    pub(super) fn next(&self) -> Offset {
        self.next
    }

    pub(super) fn covers(&self, offset: Offset) -> bool {
        self.next != NOWHERE && (self.start()..=self.next).contains(&offset)
    }

    /// The batches from the one that holds `from`, up to `bytes_max` but at least one.
    pub(super) fn take(&self, from: Offset, bytes_max: usize) -> Vec<StoredBatch> {
        let first = self.batches.partition_point(|b| b.end_offset() <= from);
        let mut taken = Vec::new();
        let mut bytes = 0;
        for batch in self.batches.range(first..) {
            bytes += batch.byte_len();
            if !taken.is_empty() && bytes > bytes_max {
                break;
            }
            taken.push(batch.clone());
        }
        taken
    }

    /// Loses the place: the next read seeks.
    pub(super) fn forget(&mut self) {
        self.next = NOWHERE;
        self.batches.clear();
        self.cached_bytes = 0;
        self.held = None;
    }

    /// Moves to `to` and forgets what was fetched elsewhere.
    pub(super) fn seek(
        &mut self,
        channel: &Channel,
        to: Offset,
        deadline: Instant,
    ) -> Result<(), String> {
        self.forget();
        let mut list = TopicPartitionList::new();
        let position = KafkaOffset::Offset(to as i64);
        list.add_partition_offset(&channel.name, channel.native_partition(), position)
            .map_err(|error| error.to_string())?;
        if !self.is_assigned {
            self.consumer
                .incremental_assign(&list)
                .map_err(|error| error.to_string())?;
            self.is_assigned = true;
        } else {
            // Just after an assignment the client may not be ready to seek.
            while let Err(reason) = self.try_seek(list.clone()) {
                if Instant::now() >= deadline {
                    return Err(format!("seek to {to}: {reason}"));
                }
                thread::sleep(PAUSE);
            }
        }
        self.next = to;
        Ok(())
    }

    fn try_seek(&self, list: TopicPartitionList) -> Result<(), String> {
        let sought = self
            .consumer
            .seek_partitions(list, SEEK_STEP)
            .map_err(|error| error.to_string())?;
        sought
            .elements()
            .iter()
            .try_for_each(|element| element.error().map_err(|error| error.to_string()))
    }

    /// Takes what was fetched ahead into one batch of about `bytes_max` bytes, waiting for the
    /// first record as long as `wait`.
    pub(super) fn drain(
        &mut self,
        bytes_max: usize,
        wait: Duration,
        cache_bytes: usize,
    ) -> Drained {
        let mut batch = Building::new(self.next);
        if let Some(held) = self.held.take_if(|held| held.offset == batch.next) {
            batch.push(&held.value, held.at_ms);
        } else if let Some(held) = &self.held {
            return Drained::Gap(held.offset);
        }
        let mut found = Drained::Nothing;
        let mut patience = wait;
        while let Some(polled) = self.queue.poll(patience) {
            patience = Duration::ZERO;
            let message = match polled {
                Ok(message) => message,
                Err(error) if is_misplaced(&error) => {
                    found = Drained::Misplaced;
                    break;
                }
                Err(error) => {
                    tracing::debug!(%error, "a fetch failed and will be repeated");
                    break;
                }
            };
            let offset = message.offset() as Offset;
            if offset < batch.next {
                continue;
            }
            let value = message.payload().unwrap_or_default();
            if offset > batch.next || (batch.count > 0 && batch.len_with(value) > bytes_max) {
                if offset > batch.next {
                    found = Drained::Gap(offset);
                }
                self.held = Some(Record {
                    offset,
                    at_ms: time_ms(&message),
                    value: value.to_vec(),
                });
                break;
            }
            batch.push(value, time_ms(&message));
        }
        if batch.count > 0 {
            self.keep(batch.finish(), cache_bytes);
            // Whatever ended the batch is found again by the next drain.
            return Drained::Records;
        }
        found
    }

    fn keep(&mut self, batch: StoredBatch, cache_bytes: usize) {
        self.next = batch.end_offset();
        self.cached_bytes += batch.byte_len();
        self.batches.push_back(batch);
        while self.cached_bytes > cache_bytes && self.batches.len() > 1 {
            if let Some(old) = self.batches.pop_front() {
                self.cached_bytes -= old.byte_len();
            }
        }
    }

    /// Puts empty records, which nothing can decode, where there are none; false if there would
    /// be too many.
    pub(super) fn bridge(&mut self, to: Offset) -> bool {
        if to - self.next > GAP_MAX {
            return false;
        }
        let mut batch = Building::new(self.next);
        while batch.next < to {
            batch.push(&[], i64::MIN);
        }
        if batch.count > 0 {
            self.keep(batch.finish(), usize::MAX);
        }
        true
    }
}

fn time_ms(message: &BorrowedMessage<'_>) -> i64 {
    message.timestamp().to_millis().unwrap_or(i64::MIN)
}

fn is_misplaced(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    matches!(
        error,
        KafkaError::MessageConsumption(
            Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::NoOffset
        )
    )
}

/// A batch in the making.
struct Building {
    payload: Vec<u8>,
    base: Offset,
    next: Offset,
    count: u32,
    max_ms: i64,
}

impl Building {
    fn new(base: Offset) -> Self {
        Self {
            payload: Vec::new(),
            base,
            next: base,
            count: 0,
            max_ms: i64::MIN,
        }
    }

    fn len_with(&self, value: &[u8]) -> usize {
        self.payload.len() + LENGTH_BYTES + value.len()
    }

    fn push(&mut self, value: &[u8], at_ms: i64) {
        let length = value.len() as u32;
        self.payload.extend_from_slice(&length.to_le_bytes());
        self.payload.extend_from_slice(value);
        self.next += 1;
        self.count += 1;
        self.max_ms = self.max_ms.max(at_ms);
    }

    fn finish(self) -> StoredBatch {
        let payload = Bytes::from(self.payload);
        StoredBatch::new(payload, self.base, self.count, Timestamp(self.max_ms))
    }
}
