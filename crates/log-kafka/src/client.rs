//! Making clients: what our settings mean to librdkafka, and where its messages go.
//!
//! Everything that matters for safety is set here and nowhere else: idempotence, `acks=all`, no
//! automatic commits, no automatic reset of a position, checksums verified.

use crate::config::KafkaConfig;
use crate::error::KafkaLogError;
use crate::native;
use crate::security::{SaslMechanism, SecurityConfig};
use nowcast_log::BATCH_BYTES_MAX;
use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// The largest message: a whole append in one record, with its headers.
pub(crate) const MESSAGE_BYTES_MAX: usize = BATCH_BYTES_MAX + (64 << 10);

/// How many messages one producer may hold: never the limit, ours is in bytes.
const PRODUCER_MESSAGES_MAX: usize = 10_000_000;

/// Leaders move when brokers fail; a frozen one does not say so, hence the clients ask.
const METADATA_INTERVAL_MS: u32 = 2_000;

/// What all clients share: names for their messages, the token, the word that one is finished.
#[derive(Debug)]
pub(crate) struct Link {
    role: &'static str,
    security: SecurityConfig,
    /// A client with a fatal error never works again and must be replaced.
    is_fatal: AtomicBool,
}

impl Link {
    pub(crate) fn new(role: &'static str, config: &KafkaConfig) -> Self {
        Self {
            role,
            security: config.security.clone(),
            is_fatal: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_fatal(&self) -> bool {
        self.is_fatal.load(Ordering::Acquire)
    }
}

impl ClientContext for Link {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let role = self.role;
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(target: "nowcast_kafka", role, facility, "{message}");
            }
            // A broker that is away is an "error" here; the client goes on by itself.
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                tracing::warn!(target: "nowcast_kafka", role, facility, "{message}");
            }
            _ => tracing::debug!(target: "nowcast_kafka", role, facility, "{message}"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        let role = self.role;
        let brokers = statistics.brokers.values();
        let retries: u64 = brokers.clone().map(|broker| broker.txretries).sum();
        let timeouts: u64 = brokers.map(|broker| broker.req_timeouts).sum();
        metrics::counter!("nowcast_kafka_retries_total", "role" => role).absolute(retries);
        metrics::counter!("nowcast_kafka_request_timeouts_total", "role" => role)
            .absolute(timeouts);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if matches!(&error, KafkaError::Global(RDKafkaErrorCode::Fatal)) {
            self.is_fatal.store(true, Ordering::Release);
        }
        metrics::counter!("nowcast_kafka_errors_total", "role" => self.role).increment(1);
        tracing::warn!(target: "nowcast_kafka", role = self.role, %error, "{reason}");
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        Ok(self.security.token()?)
    }
}

impl ConsumerContext for Link {}

/// Settings of any client.
fn base(config: &KafkaConfig) -> Result<ClientConfig, KafkaLogError> {
    let mut client = ClientConfig::new();
    let request_ms = config.request_timeout.ms();
    client
        .set("bootstrap.servers", config.brokers.join(","))
        .set("client.id", "nowcast")
        .set("socket.timeout.ms", request_ms.max(1_000).to_string())
        .set("socket.keepalive.enable", "true")
        .set("socket.nagle.disable", "true")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("retry.backoff.ms", "50")
        .set("retry.backoff.max.ms", "500")
        .set(
            "topic.metadata.refresh.interval.ms",
            METADATA_INTERVAL_MS.to_string(),
        )
        .set("message.max.bytes", MESSAGE_BYTES_MAX.to_string())
        .set("statistics.interval.ms", "10000")
        .set_log_level(RDKafkaLogLevel::Info);
    config.security.apply(&mut client)?;
    Ok(client)
}

/// Settings of the producer.
pub(crate) fn producer(config: &KafkaConfig) -> Result<ClientConfig, KafkaLogError> {
    let mut client = base(config)?;
    // Our own bound is per partition and in bytes; the client's must never be met before it.
    let partitions = u64::from(config.partitions) * 2 + 8;
    let queue_kib = (config.queue_bytes_max.bytes() * partitions / 1024).clamp(64 << 10, 2 << 20);
    client
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", config.linger.ms().to_string())
        .set("batch.size", config.batch_bytes.bytes().to_string())
        .set("batch.num.messages", "100000")
        .set("compression.type", config.compression.name())
        .set(
            "message.timeout.ms",
            config.delivery_timeout.ms().to_string(),
        )
        .set(
            "request.timeout.ms",
            config.request_timeout.ms().to_string(),
        )
        .set(
            "queue.buffering.max.messages",
            PRODUCER_MESSAGES_MAX.to_string(),
        )
        .set("queue.buffering.max.kbytes", queue_kib.to_string());
    Ok(client)
}

/// Settings of a consumer that is told where to read.
pub(crate) fn reader(config: &KafkaConfig) -> Result<ClientConfig, KafkaLogError> {
    let mut client = base(config)?;
    let prefetch_kib = (config.prefetch_bytes.bytes() / 1024).max(1);
    client
        // Never joined: the client wants a name before it takes an assignment.
        .set("group.id", format!("{}.readers", config.topic_prefix))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_uncommitted")
        .set("check.crcs", "true")
        .set("fetch.wait.max.ms", "500")
        .set("fetch.error.backoff.ms", "100")
        // How long fetching pauses when what was fetched ahead suffices.
        .set("fetch.queue.backoff.ms", "2")
        .set("queued.min.messages", "1000000")
        .set("queued.max.messages.kbytes", prefetch_kib.to_string())
        .set(
            "fetch.message.max.bytes",
            (config.prefetch_bytes.bytes() / 2).max(1 << 10).to_string(),
        )
        .set("receive.message.max.bytes", "200000000");
    Ok(client)
}

/// Settings of a member of the group that shares the event partitions.
pub(crate) fn member(config: &KafkaConfig, group: &str) -> Result<ClientConfig, KafkaLogError> {
    let mut client = base(config)?;
    client
        .set("group.id", group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "latest")
        .set("max.poll.interval.ms", "60000");
    Ok(client)
}

/// Settings of a member of the group that reads topics of other programs. What was marked as taken
/// is committed in the background, when partitions move and at the end.
pub(crate) fn foreign(config: &KafkaConfig, group: &str) -> Result<ClientConfig, KafkaLogError> {
    let mut client = base(config)?;
    let prefetch_kib = (config.prefetch_bytes.bytes() / 1024).max(1);
    client
        .set("group.id", group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", "1000")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "false")
        .set("isolation.level", "read_committed")
        .set("check.crcs", "true")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.error.backoff.ms", "100")
        .set("session.timeout.ms", "10000")
        .set("max.poll.interval.ms", "600000")
        .set("queued.max.messages.kbytes", prefetch_kib.to_string())
        .set("receive.message.max.bytes", "200000000");
    Ok(client)
}

/// A client for topics and records, for a few calls; authenticated at once.
pub(crate) fn admin(config: &KafkaConfig) -> Result<AdminClient<Link>, KafkaLogError> {
    let link = Link::new("admin", config);
    let admin = AdminClient::from_config_and_context(&base(config)?, link)
        .map_err(KafkaLogError::client("make the administration client"))?;
    if config.security.sasl_mechanism == Some(SaslMechanism::Oauthbearer) {
        let token = config.security.token()?;
        native::set_token(admin.inner(), &token).map_err(KafkaLogError::Config)?;
    }
    Ok(admin)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits, as a thread, for an answer that has its own timeout.
pub(crate) fn wait_for<T>(answer: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut answer = pin!(answer);
    loop {
        match answer.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Compression;
    use crate::security::Secret;
    use rdkafka::config::FromClientConfig;
    use rdkafka::consumer::BaseConsumer;
    use rdkafka::producer::BaseProducer;

    /// The client library refuses at once what it was built without.
    #[test]
    fn the_library_has_every_compression_and_every_way_to_authenticate() {
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), "e30.eyJzdWIiOiJtZSJ9.x").unwrap();
        for (_, mechanism) in SaslMechanism::NAMES {
            for is_encrypted in [false, true] {
                let security = SecurityConfig {
                    is_encrypted,
                    sasl_mechanism: Some(mechanism),
                    sasl_user: Some("me".to_owned()),
                    sasl_secret: Some(Secret::File(secret.path().to_owned())),
                    ..SecurityConfig::default()
                };
                let config = KafkaConfig {
                    brokers: vec!["127.0.0.1:1".to_owned()],
                    security,
                    ..KafkaConfig::default()
                };
                config.check().unwrap();
                let link = || Link::new("test", &config);
                BaseConsumer::from_config_and_context(&reader(&config).unwrap(), link()).unwrap();
                admin(&config).unwrap();
            }
        }
        for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
            let mut config = KafkaConfig::default();
            let url = format!("kafka://127.0.0.1:1?compression={compression}");
            config.apply_url(&url).unwrap();
            assert_eq!(config.compression.name(), compression);
            BaseProducer::from_config(&producer(&config).unwrap()).unwrap();
        }
        assert_eq!(KafkaConfig::default().compression, Compression::Lz4);
    }
}
