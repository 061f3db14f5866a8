//! The thread that reads the topics.

use crate::batch::BatchTaker;
use crate::error::IntakeError;
use crate::reading::Reading;
use crate::topics::IntakeConfig;
use metrics::{Counter, counter};
use nowcast_engine::Engine;
use nowcast_log_kafka::{ForeignMessage, ForeignReader, KafkaConfig, ReadUpTo};
use nowcast_schemas::Decoder;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Handle;

/// How long one read waits for messages.
const PATIENCE: Duration = Duration::from_millis(100);

/// Reads the configured topics into an engine until it is closed.
pub struct Intake {
    is_stopping: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Intake {
    /// Joins the group and starts reading. `runtime` is where registries are asked.
    ///
    /// # Errors
    /// Settings that cannot work. Brokers that are away are waited for.
    pub fn start(
        engine: Arc<Engine>,
        config: &IntakeConfig,
        decoder: Arc<Decoder>,
        runtime: Handle,
    ) -> Result<Self, IntakeError> {
        config.validate().map_err(IntakeError::Config)?;
        let is_stopping = Arc::new(AtomicBool::new(false));
        let meters = engine.metrics().within(Meters::new);
        let taker = BatchTaker::new(
            engine,
            decoder,
            readings(config),
            config.retry_after.duration(),
            Arc::clone(&is_stopping),
        );
        let worker = Worker {
            kafka: config.kafka().map_err(IntakeError::Config)?,
            config: config.clone(),
            taker,
            meters,
            is_stopping: Arc::clone(&is_stopping),
        };
        let thread = std::thread::Builder::new()
            .name("intake".to_owned())
            .spawn(move || worker.run(&runtime))
            .map_err(|error| IntakeError::Config(format!("no thread for the intake: {error}")))?;
        Ok(Self {
            is_stopping,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Finishes the batch in progress, commits and leaves the group.
    pub fn close(&self) {
        self.is_stopping.store(true, Ordering::Release);
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the thread of the intake panicked");
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.close();
    }
}

/// The readings of all configured topics, by name.
#[must_use]
pub fn readings(config: &IntakeConfig) -> BTreeMap<String, Reading> {
    let topics = config.topics.iter();
    topics
        .map(|topic| (topic.topic.clone(), Reading::new(topic.clone())))
        .collect()
}

struct Meters {
    taken: Counter,
    dead_lettered: Counter,
    passed_over: Counter,
}

impl Meters {
    fn new() -> Self {
        let of = |fate: &'static str| counter!("nowcast_intake_messages_total", "fate" => fate);
        Self {
            taken: of("taken"),
            dead_lettered: of("dead_lettered"),
            passed_over: of("passed_over"),
        }
    }
}

struct Worker {
    kafka: KafkaConfig,
    config: IntakeConfig,
    taker: BatchTaker,
    meters: Meters,
    is_stopping: Arc<AtomicBool>,
}

impl Worker {
    fn run(&self, runtime: &Handle) {
        let topics: Vec<String> = self.config.topics.iter().map(|t| t.topic.clone()).collect();
        while !self.is_stopping.load(Ordering::Acquire) {
            let joined = ForeignReader::join(&self.kafka, &self.config.group, &topics);
            let ended = joined.and_then(|reader| self.read(&reader, runtime));
            if let Err(error) = ended {
                tracing::error!(%error, "the topics cannot be read; trying again");
                std::thread::park_timeout(self.config.retry_after.duration());
            }
        }
    }

    fn read(
        &self,
        reader: &ForeignReader,
        runtime: &Handle,
    ) -> Result<(), nowcast_log_kafka::KafkaLogError> {
        let up_to = ReadUpTo {
            messages_max: self.config.batch_messages_max,
            bytes_max: self.config.batch_bytes_max.bytes() as usize,
            patience: PATIENCE,
        };
        while !self.is_stopping.load(Ordering::Acquire) {
            let messages = reader.read(up_to)?;
            if messages.is_empty() {
                continue;
            }
            let Ok(counts) = runtime.block_on(self.taker.take(&messages)) else {
                return Ok(());
            };
            self.meters.taken.increment(counts.taken);
            self.meters.dead_lettered.increment(counts.dead_lettered);
            self.meters.passed_over.increment(counts.passed_over);
            for (topic, partition, offset) in ends(&messages) {
                reader.taken(topic, partition, offset);
            }
        }
        Ok(())
    }
}

/// The last offset of each partition in a batch.
fn ends(messages: &[ForeignMessage]) -> impl Iterator<Item = (&str, i32, i64)> {
    let mut ends = BTreeMap::new();
    for message in messages {
        ends.insert((&*message.topic, message.partition), message.offset);
    }
    ends.into_iter()
        .map(|((topic, partition), offset)| (topic, partition, offset))
}
