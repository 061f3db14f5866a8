//! One partition of one topic, as the writing and the reading side both see it.
//!
//! The known end is where they meet: a delivery report moves it, a fetched record moves it, and
//! whoever waits for it wakes.

use crate::parcel::Line;
use crate::reader::Cursor;
use crate::topics::Topic;
use metrics::{Counter, Gauge, Histogram};
use nowcast_log::{LogError, starts_protected};
use nowcast_types::{Offset, PartitionId};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

pub(crate) struct Channel {
    pub(crate) topic: Topic,
    pub(crate) name: String,
    pub(crate) partition: u16,
    /// Records below are in a checkpoint.
    pub(crate) protected: AtomicU64,
    pub(crate) end: KnownEnd,
    /// Appends that are under way and those behind them; locked while one hands its records over,
    /// so that they stay together.
    pub(crate) line: Mutex<Line>,
    /// Bytes without a delivery report.
    pub(crate) queued: AtomicUsize,
    pub(crate) cursors: Mutex<Vec<Arc<Cursor>>>,
    pub(crate) metrics: ChannelMetrics,
}

/// Handles, so that nothing is looked up per append.
pub(crate) struct ChannelMetrics {
    pub(crate) queued_bytes: Gauge,
    pub(crate) delivery_seconds: Histogram,
    pub(crate) failed: Counter,
    pub(crate) lag_records: Gauge,
}

impl Channel {
    pub(crate) fn new(topic: Topic, name: String, partition: u16) -> Self {
        let protected = match topic {
            Topic::Stream(stream) if starts_protected(stream) => 0,
            _ => Offset::MAX,
        };
        let labels = [
            ("topic", topic.suffix().to_owned()),
            ("partition", partition.to_string()),
        ];
        let metrics = ChannelMetrics {
            queued_bytes: metrics::gauge!("nowcast_kafka_queued_bytes", &labels),
            delivery_seconds: metrics::histogram!("nowcast_kafka_delivery_seconds", &labels[..1]),
            failed: metrics::counter!("nowcast_kafka_appends_failed_total", &labels[..1]),
            lag_records: metrics::gauge!("nowcast_kafka_lag_records", &labels),
        };
        Self {
            topic,
            name,
            partition,
            protected: AtomicU64::new(protected),
            end: KnownEnd::default(),
            line: Mutex::default(),
            queued: AtomicUsize::new(0),
            cursors: Mutex::new(Vec::new()),
            metrics,
        }
    }

    pub(crate) fn native_partition(&self) -> i32 {
        i32::from(self.partition)
    }

    pub(crate) fn unavailable(&self, reason: String) -> LogError {
        match self.topic {
            Topic::Stream(stream) => LogError::Unavailable {
                stream,
                partition: PartitionId(self.partition),
                reason,
            },
            _ => LogError::Broker {
                topic: self.name.clone(),
                partition: self.partition,
                reason,
            },
        }
    }

    pub(crate) fn overloaded(&self, queued_bytes: usize) -> LogError {
        match self.topic {
            Topic::Stream(stream) => LogError::Overloaded {
                stream,
                partition: PartitionId(self.partition),
                queued_bytes,
            },
            _ => self.unavailable(format!("{queued_bytes} bytes are waiting to be delivered")),
        }
    }

    pub(crate) fn corrupt(&self, offset: Offset, detail: String) -> LogError {
        LogError::Corrupt {
            path: format!("{}-{}", self.name, self.partition).into(),
            position: offset,
            detail,
        }
    }
}

/// The highest end that anyone here has seen.
#[derive(Debug, Default)]
pub(crate) struct KnownEnd {
    end: AtomicU64,
    /// Grows whenever there may be something new.
    ticks: Mutex<u64>,
    has_news: Condvar,
}

impl KnownEnd {
    pub(crate) fn get(&self) -> Offset {
        self.end.load(Ordering::Acquire)
    }

    /// Takes note of an end; wakes waiters if it is beyond the one known.
    pub(crate) fn note(&self, end: Offset) {
        if self.end.fetch_max(end, Ordering::AcqRel) < end {
            self.wake();
        }
    }

    /// Wakes waiters to look for themselves.
    pub(crate) fn wake(&self) {
        *self.ticks.lock() += 1;
        self.has_news.notify_all();
    }

    pub(crate) fn ticks(&self) -> u64 {
        *self.ticks.lock()
    }

    /// Waits until there is news after `seen`, or the deadline.
    pub(crate) fn wait_news(&self, seen: u64, deadline: Instant) {
        let mut ticks = self.ticks.lock();
        while *ticks == seen {
            if self.has_news.wait_until(&mut ticks, deadline).timed_out() {
                return;
            }
        }
    }
}
