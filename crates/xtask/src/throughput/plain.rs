//! Plain clients of librdkafka, with the settings that Nowcast gives its own, but for the linger,
//! which is the library's default: a program without lines of its own would not lower it.

use anyhow::{Context, Result, ensure};
use nowcast_log_kafka::KafkaConfig;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// Partitions of the events' topic and of those beside it.
pub(super) const PARTITIONS: i32 = 4;
/// Longest wait for the next message, and for the last delivery report.
const PATIENCE: Duration = Duration::from_secs(60);

/// A topic as a program without Nowcast sees it.
pub(super) struct PlainTopic {
    bootstrap: String,
    name: String,
}

impl PlainTopic {
    pub(super) fn new(bootstrap: String, name: &str) -> Self {
        Self {
            bootstrap,
            name: name.to_owned(),
        }
    }

    /// The topic that the ingest role writes events to.
    pub(super) fn of_events(bootstrap: String) -> Self {
        Self::new(bootstrap, &format!("{}.events", super::site::PREFIX))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Reads `count` messages from the start; answers with them and the messages a second.
    pub(super) fn consume(&self, count: usize) -> Result<(Vec<OwnedMessage>, f64)> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", "plain")
            .set("enable.auto.commit", "false")
            .set("check.crcs", "true")
            .create()?;
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset(&self.name, partition, Offset::Beginning)?;
        }
        let mut messages = Vec::with_capacity(count);
        let started = Instant::now();
        consumer.assign(&list)?;
        while messages.len() < count {
            let message = consumer.poll(PATIENCE).context("no message comes")??;
            messages.push(message.detach());
        }
        let rate = count as f64 / started.elapsed().as_secs_f64();
        Ok((messages, rate))
    }

    /// Writes messages to the partitions they were read from, and waits until the brokers have
    /// them; answers with the messages a second.
    pub(super) fn produce(&self, messages: &[OwnedMessage]) -> Result<f64> {
        let ours = KafkaConfig::default();
        let producer: ThreadedProducer<_> = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("batch.size", ours.batch_bytes.bytes().to_string())
            .set("batch.num.messages", "100000")
            .set("queue.buffering.max.messages", "1000000")
            .set("queue.buffering.max.kbytes", "2097151")
            .set("compression.type", "lz4")
            .create()?;
        let started = Instant::now();
        for message in messages {
            let mut record = BaseRecord::to(&self.name)
                .partition(message.partition())
                .payload(message.payload().unwrap_or_default())
                .key(message.key().unwrap_or_default());
            if let Some(headers) = rdkafka::message::Message::headers(message) {
                record = record.headers(headers.clone());
            }
            let mut waiting = producer.send(record);
            while let Err((error, record)) = waiting {
                let is_full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                ensure!(error == is_full, "not queued: {error}");
                std::thread::sleep(Duration::from_millis(5));
                waiting = producer.send(record);
            }
        }
        producer.flush(PATIENCE)?;
        Ok(messages.len() as f64 / started.elapsed().as_secs_f64())
    }
}
