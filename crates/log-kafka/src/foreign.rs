//! Topics that other programs write, read by a consumer group, at least once.
//!
//! A message is read again until it was marked as taken. Marks are committed to the brokers in the
//! background, when a partition moves to another member and when the reader is dropped; after a
//! crash the messages of the last moments come again, and whoever takes them tells by their ids.

use crate::client::{self, Link};
use crate::config::KafkaConfig;
use crate::error::KafkaLogError;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A message as it lies on the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignMessage {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition of the topic.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
    /// The message's time, in milliseconds since 1970.
    pub timestamp: Option<i64>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The payload; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers, in order; a header without a value has an empty one.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// When a read has enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadUpTo {
    /// Messages at most.
    pub messages_max: usize,
    /// Bytes of payloads beyond which nothing more is read.
    pub bytes_max: usize,
    /// How long to wait for the first message.
    pub patience: Duration,
}

/// A member of the group that reads some topics.
pub struct ForeignReader {
    consumer: BaseConsumer<Link>,
    topics: Vec<Arc<str>>,
}

impl ForeignReader {
    /// Joins `group` for `topics`. Topics that are not there yet are waited for.
    ///
    /// # Errors
    /// [`KafkaLogError::Config`] and what the client says.
    pub fn join(
        config: &KafkaConfig,
        group: &str,
        topics: &[String],
    ) -> Result<Self, KafkaLogError> {
        config.check()?;
        let settings = client::foreign(config, group)?;
        let link = Link::new("intake", config);
        let consumer: BaseConsumer<Link> =
            BaseConsumer::from_config_and_context(&settings, link)
                .map_err(KafkaLogError::client("make the reader of topics"))?;
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer
            .subscribe(&names)
            .map_err(KafkaLogError::client("subscribe to the topics"))?;
        Ok(Self {
            consumer,
            topics: topics.iter().map(|topic| topic.as_str().into()).collect(),
        })
    }

    /// Reads what has come: nothing if nothing does within the patience. Must be called again and
    /// again, since the group lives by it.
    ///
    /// # Errors
    /// What the client says, if it will not work again by itself.
    pub fn read(&self, up_to: ReadUpTo) -> Result<Vec<ForeignMessage>, KafkaLogError> {
        let mut messages = Vec::new();
        let mut bytes = 0;
        let deadline = Instant::now() + up_to.patience;
        while messages.len() < up_to.messages_max && bytes < up_to.bytes_max {
            let left = if messages.is_empty() {
                deadline.saturating_duration_since(Instant::now())
            } else {
                Duration::ZERO
            };
            match self.consumer.poll(left) {
                Some(Ok(message)) => {
                    let message = self.owned(&message);
                    bytes += message.value.as_ref().map_or(0, Vec::len);
                    messages.push(message);
                }
                Some(Err(error)) if is_lasting(&error) => {
                    return Err(KafkaLogError::client("read the topics")(error));
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "the topics cannot be read at present");
                }
                None if messages.is_empty() && Instant::now() < deadline => {}
                None => break,
            }
        }
        Ok(messages)
    }

    fn owned(&self, message: &BorrowedMessage<'_>) -> ForeignMessage {
        let known = self
            .topics
            .iter()
            .find(|topic| &***topic == message.topic());
        let headers = message.headers().into_iter().flat_map(|headers| {
            headers.iter().map(|header| {
                let value = header.value.unwrap_or_default();
                (header.key.to_owned(), value.to_vec())
            })
        });
        ForeignMessage {
            topic: known.map_or_else(|| message.topic().into(), Arc::clone),
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().filter(|ms| *ms >= 0),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.collect(),
        }
    }

    /// Marks everything of a partition up to and with `offset` as taken.
    pub fn taken(&self, topic: &str, partition: i32, offset: i64) {
        // A partition that moved meanwhile is no longer ours to mark: its new member reads again.
        if let Err(error) = self.consumer.store_offset(topic, partition, offset) {
            tracing::debug!(%error, topic, partition, offset, "not marked as taken");
        }
    }
}

/// Whether an error will not go away while this client lives.
fn is_lasting(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    matches!(
        code,
        Some(
            RDKafkaErrorCode::Fatal
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
        )
    )
}
