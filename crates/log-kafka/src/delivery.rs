//! The answer to one append, put together from the reports of its messages.

use crate::channel::Channel;
use crate::client::Link;
use crate::producer::Dispatch;
use nowcast_log::AppendPromise;
use nowcast_types::Offset;
use parking_lot::Mutex;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

/// Why an append fails that nobody can deliver any more.
const CLOSED: &str = "the log was closed before the broker answered";

/// One append, shared by all of its messages.
pub(crate) struct Delivery {
    channel: Arc<Channel>,
    dispatch: Weak<Dispatch>,
    cost_bytes: usize,
    started: Instant,
    promise: AppendPromise,
    /// Whether its partition's line counts it as under way.
    is_under_way: AtomicBool,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    /// Messages without a report.
    left: usize,
    first: Offset,
    end: Offset,
    failure: Option<Failure>,
}

#[derive(Debug, Clone)]
struct Failure {
    reason: String,
    /// No broker has taken it in the whole delivery timeout.
    is_timeout: bool,
}

impl Failure {
    fn of(error: &KafkaError) -> Self {
        match error {
            KafkaError::MessageProduction(code) => Self {
                reason: format!("not delivered: {code}"),
                is_timeout: *code == RDKafkaErrorCode::MessageTimedOut,
            },
            other => Self::because(&other.to_string()),
        }
    }

    fn because(reason: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            is_timeout: false,
        }
    }
}

impl Delivery {
    pub(crate) fn new(
        channel: &Arc<Channel>,
        dispatch: &Arc<Dispatch>,
        cost_bytes: usize,
        messages: usize,
        promise: AppendPromise,
    ) -> Self {
        Self {
            channel: channel.clone(),
            dispatch: Arc::downgrade(dispatch),
            cost_bytes,
            started: Instant::now(),
            promise,
            is_under_way: AtomicBool::new(false),
            progress: Mutex::new(Progress {
                left: messages,
                first: Offset::MAX,
                end: 0,
                failure: None,
            }),
        }
    }

    /// Its messages are being handed to the client.
    pub(crate) fn set_off(&self) {
        self.is_under_way.store(true, Ordering::Release);
    }

    /// `count` messages will have no report, as the client did not take them.
    pub(crate) fn refuse(&self, count: usize, error: &KafkaError) {
        self.report(count, Err(Failure::of(error)));
    }

    /// Takes the reports of `count` messages.
    fn report(&self, count: usize, outcome: Result<Offset, Failure>) {
        let mut progress = self.progress.lock();
        progress.left -= count;
        match outcome {
            Ok(offset) => {
                progress.first = progress.first.min(offset);
                progress.end = progress.end.max(offset + 1);
            }
            Err(failure) => {
                progress.failure.get_or_insert(failure);
            }
        }
        if progress.left > 0 {
            return;
        }
        let answer = match progress.failure.take() {
            None => Ok(progress.first..progress.end),
            Some(failure) => Err(failure),
        };
        drop(progress);
        self.finish(answer);
    }

    fn finish(&self, answer: Result<Range<Offset>, Failure>) {
        let channel = &self.channel;
        let queued = channel.queued.fetch_sub(self.cost_bytes, Ordering::AcqRel) - self.cost_bytes;
        channel.metrics.queued_bytes.set(queued as f64);
        match &answer {
            Ok(offsets) => {
                let seconds = self.started.elapsed().as_secs_f64();
                channel.metrics.delivery_seconds.record(seconds);
                channel.end.note(offsets.end);
            }
            Err(_) => channel.metrics.failed.increment(1),
        }
        if self.is_under_way.swap(false, Ordering::AcqRel) {
            let is_timeout = answer.as_ref().is_err_and(|failure| failure.is_timeout);
            self.go_on(is_timeout);
        }
        let answer = answer.map_err(|failure| channel.unavailable(failure.reason));
        self.promise.complete(answer);
    }

    /// Lets those go who waited for this append, if it was the last one under way.
    fn go_on(&self, is_timeout: bool) {
        let channel = &self.channel;
        let dispatch = self.dispatch.upgrade();
        let client = dispatch.as_ref().map(|dispatch| dispatch.client());
        let (unsent, dispersed) = {
            let mut line = channel.line.lock();
            if !line.arrive() {
                return;
            }
            match &client {
                Some(client) if !is_timeout => (line.go_on(client.get(), channel), Vec::new()),
                _ => (Vec::new(), line.disperse()),
            }
        };
        for parcel in unsent {
            parcel.report();
        }
        // Whoever waits has waited for a broker too, and nobody shall wait longer than configured.
        for delivery in dispersed {
            let reason = if is_timeout {
                "no broker has taken what was appended before it"
            } else {
                CLOSED
            };
            let messages = delivery.progress.lock().left;
            delivery.report(messages, Err(Failure::because(reason)));
        }
    }
}

impl Drop for Delivery {
    /// A client that is thrown away may forget messages; nobody shall wait for their reports.
    fn drop(&mut self) {
        if self.progress.get_mut().left > 0 {
            self.finish(Err(Failure::because(CLOSED)));
        }
    }
}

impl ProducerContext for Link {
    type DeliveryOpaque = Arc<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Arc<Delivery>) {
        let outcome = match result {
            // A broker that has forgotten where it put a repeated message gives no offset. The
            // record is stored, but nobody can be told where: the caller repeats the append.
            Ok(message) => Offset::try_from(message.offset())
                .map_err(|_| Failure::because("stored, but the broker does not say where")),
            Err((error, _)) => Err(Failure::of(error)),
        };
        delivery.report(1, outcome);
    }
}
