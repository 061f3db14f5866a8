//! A consumer whose partitions are each drained by whoever reads them.
//!
//! Its thread only serves what is not a record: log lines, statistics, errors, tokens.

use crate::client::{self, Link};
use crate::config::KafkaConfig;
use crate::error::KafkaLogError;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::BaseConsumer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long the thread takes at most to notice that it shall stop.
const SERVE_STEP: Duration = Duration::from_millis(100);

pub(crate) struct Lane {
    pub(crate) consumer: Arc<BaseConsumer<Link>>,
    is_stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Lane {
    pub(super) fn start(config: &KafkaConfig) -> Result<Self, KafkaLogError> {
        let link = Link::new("reader", config);
        let consumer = BaseConsumer::from_config_and_context(&client::reader(config)?, link)
            .map_err(KafkaLogError::client("make a consumer"))?;
        let consumer = Arc::new(consumer);
        let is_stopping = Arc::new(AtomicBool::new(false));
        let thread = {
            let (consumer, is_stopping) = (consumer.clone(), is_stopping.clone());
            let serve = move || {
                while !is_stopping.load(Ordering::Acquire) {
                    if let Some(Err(error)) = consumer.poll(SERVE_STEP) {
                        tracing::debug!(%error, "a Kafka consumer reports");
                    }
                }
            };
            let builder = thread::Builder::new().name("kafka-lane".to_owned());
            builder.spawn(serve).map_err(|error| {
                KafkaLogError::Config(format!("no thread for a consumer: {error}"))
            })?
        };
        Ok(Self {
            consumer,
            is_stopping,
            thread: Some(thread),
        })
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of a Kafka consumer panicked");
        }
    }
}
