//! Brokers, logs on them, and waiting with a deadline.

use nowcast_log_kafka::{KafkaConfig, KafkaLog, KafkaLogError};
use nowcast_services::{Kafka, SharedKafka, unique_name};
use nowcast_types::{EventTypes, Span};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// Generous: the brokers share a small machine.
pub(crate) const LONG: Duration = Duration::from_secs(90);

/// The cluster that tests share that break nothing.
pub(crate) fn shared() -> Arc<SharedKafka> {
    static SHARED: Mutex<Weak<SharedKafka>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap();
    if let Some(kafka) = shared.upgrade() {
        return kafka;
    }
    let kafka = Arc::new(Kafka::shared().expect("three brokers start"));
    *shared = Arc::downgrade(&kafka);
    kafka
}

/// Settings for a log of its own, with one partition of events.
pub(crate) fn config(bootstrap: &str) -> KafkaConfig {
    KafkaConfig {
        brokers: bootstrap.split(',').map(str::to_owned).collect(),
        topic_prefix: unique_name("log"),
        partitions: 1,
        delivery_timeout: Span(60_000),
        read_timeout: Span(60_000),
        ..KafkaConfig::default()
    }
}

pub(crate) fn open(config: KafkaConfig) -> Result<KafkaLog, KafkaLogError> {
    KafkaLog::open(config, Arc::new(EventTypes::default()))
}

/// Looks until it is so, or panics.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::yield_now();
        thread::park_timeout(Duration::from_millis(20));
    }
}
