//! An engine on a folder of its own, and messages.

use nowcast_disk::StdFs;
use nowcast_engine::{Engine, EngineConfig, SystemClock};
use nowcast_intake::batch::{BatchCounts, BatchTaker};
use nowcast_intake::{DeadLetters, InputTopic, IntakeConfig, LetterView, Wanted, readings};
use nowcast_log_kafka::ForeignMessage;
use nowcast_schemas::Decoder;
use nowcast_types::{ByteSize, Span};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

pub(crate) fn engine(dir: &Path) -> Arc<Engine> {
    let mut config = EngineConfig::default();
    config.events.partitions = 2;
    config.log.segment_bytes = ByteSize(1 << 20);
    config.serving.wait_applied_max = Span(20_000);
    config.training.enabled = false;
    Engine::open(config, dir, Arc::new(StdFs), Arc::new(SystemClock)).unwrap()
}

pub(crate) fn config(topics: &Value) -> IntakeConfig {
    let topics: Vec<InputTopic> = serde_json::from_value(topics.clone()).unwrap();
    let config = IntakeConfig {
        url: "kafka://127.0.0.1:1".to_owned(),
        topics,
        ..IntakeConfig::default()
    };
    config.validate().unwrap();
    config
}

pub(crate) struct Rig {
    pub(crate) engine: Arc<Engine>,
    pub(crate) letters: DeadLetters,
    taker: BatchTaker,
}

impl Rig {
    pub(crate) fn new(dir: &Path, topics: &Value) -> Self {
        let engine = engine(dir);
        let decoder = Arc::new(Decoder::new(None));
        let config = config(topics);
        Self {
            letters: DeadLetters::new(Arc::clone(&engine), Arc::clone(&decoder), readings(&config)),
            taker: BatchTaker::new(
                Arc::clone(&engine),
                decoder,
                readings(&config),
                Duration::from_millis(10),
                Arc::new(AtomicBool::new(false)),
            ),
            engine,
        }
    }

    pub(crate) async fn take(&self, messages: &[ForeignMessage]) -> BatchCounts {
        self.taker.take(messages).await.unwrap()
    }

    pub(crate) fn list(&self) -> Vec<LetterView> {
        let wanted = Wanted {
            bytes: true,
            limit: 10_000,
            ..Wanted::default()
        };
        self.letters.list(&wanted).unwrap()
    }

    /// Waits until everything in the log is folded.
    pub(crate) async fn settle(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.engine.processor().lag().iter().sum::<u64>() > 0 {
            assert!(Instant::now() < deadline, "the fold does not catch up");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Events of a user that are counted, newest first, by item.
    pub(crate) async fn history(&self, user: &str) -> Vec<String> {
        self.settle().await;
        let profile = self.engine.profile(user, false, 1_000).unwrap();
        let history = profile.map(|profile| profile.history).unwrap_or_default();
        history
            .iter()
            .map(|entry| entry.item_id.to_string())
            .collect()
    }

    /// Records of events that the fold counted, and those that it knew already.
    pub(crate) async fn counted(&self) -> (u64, u64) {
        self.settle().await;
        let counters = self.engine.processor().counters();
        let applied = counters.iter().map(|c| c.applied).sum();
        (applied, counters.iter().map(|c| c.duplicate).sum())
    }
}

pub(crate) fn message(topic: &str, offset: i64, value: &[u8]) -> ForeignMessage {
    let now = nowcast_types::Clock::now(&SystemClock).0;
    ForeignMessage {
        topic: topic.into(),
        partition: 0,
        offset,
        // The same each time it is read, as on a broker.
        timestamp: Some(now / 3_600_000 * 3_600_000 + offset),
        key: None,
        value: Some(value.to_vec()),
        headers: Vec::new(),
    }
}
