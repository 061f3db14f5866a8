//! Settings of the log on Kafka. Every key but the secrets can stand in the URL as well
//! (`kafka://host:9092/prefix?partitions=12`).
//!
//! The defaults are those of a cluster of three brokers that may lose one.

use crate::error::KafkaLogError;
use crate::security::SecurityConfig;
use nowcast_types::{ByteSize, Span};
use serde::Deserialize;

/// How the log uses a Kafka cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// Where to ask for the cluster first: `host:port` each.
    pub brokers: Vec<String>,
    /// Topics are named `<topic_prefix>.<stream>`.
    pub topic_prefix: String,
    /// Partitions of the events; other streams have one.
    pub partitions: u16,
    /// Copies of each partition.
    pub replication: u16,
    /// Copies that must have a record before it is acknowledged.
    pub min_insync_replicas: u16,
    /// How long the broker keeps records, by their arrival. The broker knows nothing of
    /// checkpoints: this must exceed the longest time that a reader may be away.
    pub retention_age: Span,
    /// Bytes per partition beyond which the broker drops the oldest records; `0B` is no limit.
    pub retention_bytes: ByteSize,
    /// What to do about a topic whose retention is not ours.
    pub retention_mismatch: Mismatch,
    /// Whether absent topics are created; otherwise they are an error.
    pub is_creating_topics: bool,
    /// How batches are compressed on their way and on the brokers' disks.
    pub compression: Compression,
    /// How long a record waits for company before it is sent: only that of its own append, as
    /// appends to a partition that has others under way wait for those to be answered.
    pub linger: Span,
    /// A request carries at most this much of one partition.
    pub batch_bytes: ByteSize,
    /// Appends beyond this many bytes without a delivery report are refused as overload. Per
    /// partition; 256 bytes of bookkeeping count for each record.
    pub queue_bytes_max: ByteSize,
    /// An append that no broker has taken for so long is answered as unavailable.
    pub delivery_timeout: Span,
    /// A request to a broker that is not answered for so long has failed: how soon a frozen broker
    /// is noticed.
    pub request_timeout: Span,
    /// A read or a question that no broker has answered for so long fails as unavailable.
    pub read_timeout: Span,
    /// Records fetched ahead of each reader of a partition, in bytes.
    pub prefetch_bytes: ByteSize,
    /// Records kept behind each reader of a partition, for others who read the same, in bytes.
    pub tail_cache_bytes: ByteSize,
    /// Readers that may be at different places of one partition without disturbing each other;
    /// each costs a connection per broker.
    pub readers_max: usize,
    /// Encryption and authentication.
    pub security: SecurityConfig,
}

/// What to do when a broker's retention differs from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mismatch {
    /// Say so and go on.
    Warn,
    /// Refuse to start.
    Refuse,
}

/// How batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// Deflate: small, slow.
    Gzip,
    /// Fast, for old clusters.
    Snappy,
    /// Fastest.
    Lz4,
    /// Smallest at a fair speed.
    Zstd,
}

impl Compression {
    /// The name that Kafka uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: vec!["127.0.0.1:9092".to_owned()],
            topic_prefix: "nowcast".to_owned(),
            partitions: 4,
            replication: 3,
            min_insync_replicas: 2,
            retention_age: Span(400 * 86_400_000),
            retention_bytes: ByteSize(0),
            retention_mismatch: Mismatch::Warn,
            is_creating_topics: true,
            compression: Compression::Lz4,
            linger: Span(1),
            batch_bytes: ByteSize(1 << 20),
            queue_bytes_max: ByteSize(16 << 20),
            delivery_timeout: Span(20_000),
            request_timeout: Span(6_000),
            read_timeout: Span(30_000),
            prefetch_bytes: ByteSize(4 << 20),
            tail_cache_bytes: ByteSize(1 << 20),
            readers_max: 3,
            security: SecurityConfig::default(),
        }
    }
}

/// The longest topic name that Kafka takes is 249 bytes; the streams' names need some.
const PREFIX_BYTES_MAX: usize = 200;

impl KafkaConfig {
    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// [`KafkaLogError::Config`] naming the key.
    pub fn check(&self) -> Result<(), KafkaLogError> {
        let bad =
            |key: &str, rule: &str| Err(KafkaLogError::Config(format!("log.kafka.{key}: {rule}")));
        if self.brokers.is_empty() || self.brokers.iter().any(|broker| !broker.contains(':')) {
            return bad("brokers", "at least one `host:port` is needed");
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if self.topic_prefix.is_empty()
            || self.topic_prefix.len() > PREFIX_BYTES_MAX
            || !self.topic_prefix.chars().all(is_name)
        {
            return bad("topic_prefix", "1 to 200 of a-z, A-Z, 0-9, `.`, `_`, `-`");
        }
        if self.partitions == 0 {
            return bad("partitions", "is 0");
        }
        if self.replication == 0 || self.replication > i16::MAX as u16 {
            return bad("replication", "is 0 or too large");
        }
        if self.min_insync_replicas == 0 || self.min_insync_replicas > self.replication {
            return bad("min_insync_replicas", "must be from 1 to `replication`");
        }
        if self.readers_max == 0 {
            return bad("readers_max", "is 0");
        }
        for (key, size) in [
            ("batch_bytes", self.batch_bytes),
            ("queue_bytes_max", self.queue_bytes_max),
            ("prefetch_bytes", self.prefetch_bytes),
        ] {
            if size.bytes() < 1 << 10 || size.bytes() > 1 << 30 {
                return bad(key, "must be from 1KiB to 1GiB");
            }
        }
        for (key, span) in [
            ("delivery_timeout", self.delivery_timeout),
            ("request_timeout", self.request_timeout),
            ("read_timeout", self.read_timeout),
        ] {
            if span.ms() < 100 || span.ms() > 900_000 {
                return bad(key, "must be from 100ms to 15m");
            }
        }
        if self.linger.ms() < 0 || self.linger.ms() >= self.delivery_timeout.ms() {
            return bad("linger", "must be below `delivery_timeout`");
        }
        self.security.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::{SaslMechanism, Secret};

    #[test]
    fn a_file_says_what_differs_and_a_key_unknown_is_refused() {
        let text = r#"
            brokers = ["a:9092", "b:9092"]
            compression = "zstd"
            linger = "20ms"
            retention_mismatch = "refuse"
            [security]
            is_encrypted = true
            sasl_mechanism = "scram-sha-512"
            sasl_user = "nowcast"
            sasl_secret = { env = "KAFKA_PASSWORD" }
        "#;
        let config: KafkaConfig = toml::from_str(text).unwrap();
        config.check().unwrap();
        assert_eq!(config.compression, Compression::Zstd);
        assert_eq!(config.retention_mismatch, Mismatch::Refuse);
        let security = &config.security;
        assert_eq!(security.sasl_mechanism, Some(SaslMechanism::ScramSha512));
        assert_eq!(
            security.sasl_secret,
            Some(Secret::Env("KAFKA_PASSWORD".to_owned()))
        );
        assert!(toml::from_str::<KafkaConfig>("colour = 1").is_err());
    }
}
