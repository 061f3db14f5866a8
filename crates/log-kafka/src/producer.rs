//! Appends on their way to the brokers: one message per record, one answer per append.
//!
//! The idempotent producer keeps the order of a partition over retries; all records of an append
//! enter its queue together. An append is answered when the last of its delivery reports is in,
//! with the offsets that the broker gave, and never before.

use crate::channel::Channel;
use crate::client::{self, Link};
use crate::config::KafkaConfig;
use crate::delivery::Delivery;
use crate::error::KafkaLogError;
use crate::parcel::{Message, Parcel};
use nowcast_log::{AppendAck, LogError};
use parking_lot::RwLock;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::producer::{NoCustomPartitioner, Producer as _, ThreadedProducer};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// What the client keeps for a message beside its bytes, roughly.
const MESSAGE_OVERHEAD_BYTES: usize = 256;
/// What the client calls the thread that brings its delivery reports.
const REPORTING_THREAD: &str = "producer polling thread";
/// How often a flush looks whether everything is answered.
const FLUSH_STEP: Duration = Duration::from_millis(2);

pub(crate) type Client = ThreadedProducer<Link, NoCustomPartitioner>;

/// Takes appends.
pub(crate) struct Producer {
    dispatch: Arc<Dispatch>,
}

/// Whose client it is that sends. Deliveries know it too, to send those who wait behind them.
pub(crate) struct Dispatch {
    config: KafkaConfig,
    current: RwLock<Arc<Held>>,
}

/// A client that can be dropped anywhere.
pub(crate) struct Held(Option<Client>);

impl Held {
    pub(crate) fn get(&self) -> &Client {
        self.0.as_ref().expect("taken only by drop")
    }

    fn is_fatal(&self) -> bool {
        rdkafka::producer::Producer::client(self.get())
            .context()
            .is_fatal()
    }
}

impl Drop for Held {
    /// A client waits for its threads to end, so none of them may be the one that drops it.
    fn drop(&mut self) {
        let client = self.0.take();
        if thread::current().name() == Some(REPORTING_THREAD) {
            thread::spawn(move || drop(client));
        }
    }
}

impl Producer {
    pub(crate) fn new(config: &KafkaConfig) -> Result<Self, KafkaLogError> {
        Ok(Self {
            dispatch: Arc::new(Dispatch {
                config: config.clone(),
                current: RwLock::new(Arc::new(connect(config)?)),
            }),
        })
    }

    /// Queues the messages, all or none; never blocks for a broker.
    pub(crate) fn append<'a>(
        &self,
        channel: &Arc<Channel>,
        messages: impl ExactSizeIterator<Item = Message<'a>>,
        value_bytes: usize,
        trace: &str,
    ) -> AppendAck {
        let count = messages.len();
        let cost_bytes = value_bytes + count * MESSAGE_OVERHEAD_BYTES;
        if let Err(error) = self.reserve(channel, cost_bytes) {
            return AppendAck::ready(Err(error));
        }
        let (promise, ack) = AppendAck::promised();
        let delivery = Delivery::new(channel, &self.dispatch, cost_bytes, count, promise);
        let parcel = Parcel::new(messages, value_bytes, trace, Arc::new(delivery));
        let client = self.dispatch.client();
        let unsent = channel.line.lock().join(parcel, client.get(), channel);
        if let Some(unsent) = unsent {
            unsent.report();
        }
        ack
    }

    fn reserve(&self, channel: &Channel, cost_bytes: usize) -> Result<(), LogError> {
        let bytes_max = self.dispatch.config.queue_bytes_max.bytes() as usize;
        let before = channel.queued.fetch_add(cost_bytes, Ordering::AcqRel);
        if before > 0 && before + cost_bytes > bytes_max {
            channel.queued.fetch_sub(cost_bytes, Ordering::AcqRel);
            return Err(channel.overloaded(before));
        }
        channel
            .metrics
            .queued_bytes
            .set((before + cost_bytes) as f64);
        Ok(())
    }

    /// Delivers what is queued, or gives up after `patience`.
    pub(crate) fn flush(&self, channels: &[Arc<Channel>], patience: Duration) {
        let deadline = Instant::now() + patience;
        let is_queued = || {
            let mut channels = channels.iter();
            channels.any(|channel| channel.queued.load(Ordering::Acquire) > 0)
        };
        while is_queued() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!("records were still undelivered when the log closed");
                return;
            }
            // What waits is handed over by the reports of what was sent.
            let _ = self.dispatch.client().get().flush(FLUSH_STEP.min(left));
        }
    }
}

impl Dispatch {
    /// The client in use; one that has failed for good is replaced.
    pub(crate) fn client(&self) -> Arc<Held> {
        let client = self.current.read().clone();
        if !client.is_fatal() {
            return client;
        }
        let mut current = self.current.write();
        if current.is_fatal() {
            match connect(&self.config) {
                Ok(fresh) => {
                    tracing::warn!("the Kafka producer failed for good and was replaced");
                    metrics::counter!("nowcast_kafka_producers_replaced_total").increment(1);
                    let retired = std::mem::replace(&mut *current, Arc::new(fresh));
                    // Dropping it answers what it still holds, which may take half a second.
                    thread::spawn(move || drop(retired));
                }
                Err(error) => tracing::error!(%error, "no new Kafka producer"),
            }
        }
        current.clone()
    }
}

fn connect(config: &KafkaConfig) -> Result<Held, KafkaLogError> {
    let link = Link::new("producer", config);
    Client::from_config_and_context(&client::producer(config)?, link)
        .map(|client| Held(Some(client)))
        .map_err(KafkaLogError::client("make the producer"))
}
