//! Appends on their way to the brokers: one message per record, one answer per append.
//!
//! The idempotent producer keeps the order of a partition over retries; all records of an append
//! enter its queue together. An append is answered when the last of its delivery reports is in,
//! with the offsets that the broker gave, and never before.

use crate::channel::Channel;
use crate::client::{self, Link};
use crate::config::KafkaConfig;
use crate::error::KafkaLogError;
use nowcast_log::{AppendAck, AppendPromise, LogError};
use nowcast_types::Offset;
use parking_lot::{Mutex, RwLock};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::producer::{NoCustomPartitioner, ThreadedProducer};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// What the client keeps for a message beside its bytes, roughly.
const MESSAGE_OVERHEAD_BYTES: usize = 256;

/// One message to append.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
    pub(crate) id: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) schema: &'a str,
}

type Client = ThreadedProducer<Link, NoCustomPartitioner>;

pub(crate) struct Producer {
    config: KafkaConfig,
    current: RwLock<Arc<Client>>,
}

/// One append, shared by all of its messages.
pub(crate) struct Delivery {
    channel: Arc<Channel>,
    cost_bytes: usize,
    started: Instant,
    promise: AppendPromise,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    /// Messages without a report.
    left: usize,
    first: Offset,
    end: Offset,
    failure: Option<String>,
}

impl Delivery {
    /// Takes the reports of `count` messages.
    fn report(&self, count: usize, outcome: Result<Offset, String>) {
        let mut progress = self.progress.lock();
        progress.left -= count;
        match outcome {
            Ok(offset) => {
                progress.first = progress.first.min(offset);
                progress.end = progress.end.max(offset + 1);
            }
            Err(reason) => {
                progress.failure.get_or_insert(reason);
            }
        }
        if progress.left > 0 {
            return;
        }
        let answer = match progress.failure.take() {
            None => Ok(progress.first..progress.end),
            Some(reason) => Err(self.channel.unavailable(reason)),
        };
        drop(progress);
        self.finish(answer);
    }

    fn finish(&self, answer: Result<std::ops::Range<Offset>, LogError>) {
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
        self.promise.complete(answer);
    }
}

impl Drop for Delivery {
    /// A client that is thrown away may forget messages; nobody shall wait for their reports.
    fn drop(&mut self) {
        if self.progress.get_mut().left > 0 {
            let reason = "the log was closed before the broker answered".to_owned();
            self.finish(Err(self.channel.unavailable(reason)));
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
                .map_err(|_| "stored, but the broker does not say where".to_owned()),
            Err((error, _)) => Err(reason(error)),
        };
        delivery.report(1, outcome);
    }
}

fn reason(error: &KafkaError) -> String {
    match error {
        KafkaError::MessageProduction(code) => format!("not delivered: {code}"),
        other => other.to_string(),
    }
}

impl Producer {
    pub(crate) fn new(config: &KafkaConfig) -> Result<Self, KafkaLogError> {
        Ok(Self {
            config: config.clone(),
            current: RwLock::new(Arc::new(connect(config)?)),
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
        let delivery = Arc::new(Delivery {
            channel: channel.clone(),
            cost_bytes,
            started: Instant::now(),
            promise,
            progress: Mutex::new(Progress {
                left: count,
                first: Offset::MAX,
                end: 0,
                failure: None,
            }),
        });
        let client = self.client();
        let _together = channel.order.lock();
        for (at, message) in messages.enumerate() {
            if let Err(error) = send(&client, channel, message, trace, &delivery) {
                // What is queued already is sent; the append as a whole has failed.
                delivery.report(count - at, Err(reason(&error)));
                break;
            }
        }
        ack
    }

    fn reserve(&self, channel: &Channel, cost_bytes: usize) -> Result<(), LogError> {
        let bytes_max = self.config.queue_bytes_max.bytes() as usize;
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

    /// The client in use; one that has failed for good is replaced.
    fn client(&self) -> Arc<Client> {
        let client = self.current.read().clone();
        if !client.client().context().is_fatal() {
            return client;
        }
        let mut current = self.current.write();
        if current.client().context().is_fatal() {
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

    /// Delivers what is queued, or gives up after `patience`.
    pub(crate) fn flush(&self, patience: Duration) {
        let client = self.current.read().clone();
        if let Err(error) = client.flush(patience) {
            tracing::warn!(%error, "records were still undelivered when the log closed");
        }
    }
}

fn connect(config: &KafkaConfig) -> Result<Client, KafkaLogError> {
    let link = Link::new("producer", config);
    Client::from_config_and_context(&client::producer(config)?, link)
        .map_err(KafkaLogError::client("make the producer"))
}

fn send(
    client: &Client,
    channel: &Channel,
    message: Message<'_>,
    trace: &str,
    delivery: &Arc<Delivery>,
) -> Result<(), KafkaError> {
    let mut headers = OwnedHeaders::new_with_capacity(4);
    for (key, value) in [
        ("id", message.id),
        ("type", message.kind),
        ("schema", message.schema),
        ("traceparent", trace),
    ] {
        headers = headers.insert(Header {
            key,
            value: Some(value),
        });
    }
    let mut record = BaseRecord::with_opaque_to(&channel.name, delivery.clone())
        .partition(channel.native_partition())
        .payload(message.value)
        .headers(headers);
    if !message.key.is_empty() {
        record = record.key(message.key);
    }
    client.send(record).map_err(|(error, _)| error)
}
