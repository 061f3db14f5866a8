//! One log and one store under an engine, from the first event to the last answer.

use super::input::Input;
use super::outcome::{self, Outcome};
use anyhow::{Context, Result, bail, ensure};
use nowcast_disk::{Fs, StdFs};
use nowcast_engine::pseudonym::PseudonymKey;
use nowcast_engine::{
    Arrival, ArrivalClock, Backends, Embedded, Engine, EngineConfig, EngineError, EventFate,
    Opened, Opening, Readiness, Surroundings,
};
use nowcast_log::EventLog;
use nowcast_log_kafka::{KafkaConfig, KafkaLog, Ownership};
use nowcast_services::unique_name;
use nowcast_store::{Epoch, StateStore};
use nowcast_store_redis::{RedisConfig, RedisStore};
use nowcast_stream::{Duty, Epochs, Follow, PublishingStore};
use nowcast_types::{Clock, DeviceClass, PartitionId, Span, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Events of one batch.
const BATCH_EVENTS: usize = 4_000;
/// Longer than anything takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(900);

/// Where a log or a store is.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) name: &'static str,
    address: String,
}

impl Place {
    pub(super) const fn embedded() -> Self {
        Self {
            name: "embedded",
            address: String::new(),
        }
    }

    pub(super) const fn new(name: &'static str, address: String) -> Self {
        Self { name, address }
    }

    fn is_embedded(&self) -> bool {
        self.address.is_empty()
    }
}

/// One log and one store.
pub(super) struct Combination {
    pub(super) log: Place,
    pub(super) store: Place,
}

/// What an engine does with the partitions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Folds,
    Serves,
}

/// Makes the log and the store of one combination, each time on the same topics and keys.
struct Mixed {
    kafka: Option<KafkaConfig>,
    redis: Option<RedisConfig>,
    work: Work,
    /// Which owner this is, where Kafka gives no epochs.
    start: u64,
}

/// The time of all questions.
struct Standing(i64);

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp(self.0)
    }
}

impl Combination {
    pub(super) const fn new(log: Place, store: Place) -> Self {
        Self { log, store }
    }

    /// Takes everything in and asks; the second answer is whether the same state comes back when it
    /// is opened anew, and the same answers from an engine that only serves.
    pub(super) fn run(&self, input: &Input) -> Result<(Outcome, bool)> {
        let site = Site::new(self)?;
        let runtime = Runtime::new()?;
        let engine = site.open(Work::Folds, input)?;
        runtime.block_on(fill(&engine, input))?;
        let outcome = Outcome::of(&engine, &input.users)?;
        engine.close();
        drop(engine);
        let again = site.open(Work::Folds, input)?;
        let mut is_stable = outcome::dump(&again)? == outcome.dump;
        if !is_stable {
            eprintln!("conformance: the state opened anew is another");
        }
        again.close();
        drop(again);
        if !self.log.is_embedded() && !self.store.is_embedded() {
            let server = site.open(Work::Serves, input)?;
            let served = outcome::answers(&server, &input.users)?;
            is_stable &= served == outcome.answers;
            if let Some((ours, theirs)) = outcome::first_difference(&outcome.answers, &served) {
                eprintln!("conformance: folded: {ours}\nconformance: followed: {theirs}");
            }
        }
        Ok((outcome, is_stable))
    }
}

/// What outlives the engines of a run.
struct Site {
    folder: TempDir,
    kafka: Option<KafkaConfig>,
    redis: Option<RedisConfig>,
    starts: AtomicU64,
}

impl Site {
    fn new(combination: &Combination) -> Result<Self> {
        let Combination { log, store } = combination;
        let kafka = (!log.is_embedded()).then(|| KafkaConfig {
            brokers: log.address.split(',').map(str::to_owned).collect(),
            topic_prefix: unique_name("conformance"),
            partitions: config().events.partitions,
            delivery_timeout: Span(120_000),
            read_timeout: Span(120_000),
            ..KafkaConfig::default()
        });
        let redis = (!store.is_embedded()).then(|| RedisConfig {
            url: store.address.clone(),
            namespace: unique_name("conformance"),
            response_timeout: Span(30_000),
            read_timeout: Span(30_000),
            ..RedisConfig::default()
        });
        Ok(Self {
            folder: tempfile::tempdir()?,
            kafka,
            redis,
            starts: AtomicU64::new(1),
        })
    }

    fn open(&self, work: Work, input: &Input) -> Result<Arc<Engine>> {
        let backends = Mixed {
            kafka: self.kafka.clone(),
            redis: self.redis.clone(),
            work,
            start: self.starts.fetch_add(1, Ordering::Relaxed),
        };
        let around = Surroundings {
            data_dir: self.folder.path().join("data"),
            shared_dir: None,
            fs: Arc::new(StdFs) as Arc<dyn Fs>,
            clock: Arc::new(Standing(input.now_ms)),
            key: Some(PseudonymKey::new(1, [5; 32])),
            backends: Arc::new(backends),
        };
        let engine = Engine::open_in(config(), around)?;
        wait_until("the state is up", || match engine.readiness() {
            Readiness::Failed(reason) => bail!("{reason}"),
            readiness => Ok(readiness == Readiness::Live),
        })?;
        if work == Work::Serves {
            wait_until("the replicas are up to date", || {
                Ok(engine.processor().lag().iter().sum::<u64>() == 0)
            })?;
        }
        Ok(engine)
    }
}

fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.serving.record_impressions = false;
    config.serving.wait_applied_max = Span(PATIENCE.as_millis() as i64);
    config.stream.checkpoint_interval = Span(200);
    config.training.enabled = false;
    config
}

impl Backends for Mixed {
    fn open(&self, opening: &Opening<'_>) -> Result<Opened, EngineError> {
        let failed = |what| move |error| backend(what, error);
        let kafka = self.kafka.clone().map(|kafka| {
            let log = KafkaLog::open(kafka, Arc::clone(opening.types));
            log.map(Arc::new)
                .map_err(|error| failed("log")(Box::new(error) as Cause))
        });
        let kafka = kafka.transpose()?;
        let redis = self.redis.clone().map(|redis| {
            let store = RedisStore::open(redis);
            store
                .map(Arc::new)
                .map_err(|error| failed("store")(Box::new(error) as Cause))
        });
        let redis = redis.transpose()?;
        let duty = match (&kafka, &redis) {
            (Some(kafka), Some(redis)) if self.work == Work::Serves => Duty::Follow(Follow {
                feed: kafka.clone(),
                reader: redis.clone(),
                keeps_rows: true,
            }),
            (Some(kafka), _) => Duty::All(claimed(kafka)?),
            (None, _) => Duty::All(Epochs::same(Epoch(self.start))),
        };
        let log: Arc<dyn EventLog> = match &kafka {
            Some(kafka) => kafka.clone(),
            None => Embedded::log(opening)?,
        };
        let store: Arc<dyn StateStore> = match (redis, kafka) {
            (Some(redis), Some(kafka)) => Arc::new(PublishingStore::new(redis, kafka)),
            (Some(redis), None) => redis,
            (None, _) => Embedded::store(opening)?,
        };
        Ok(Opened { log, store, duty })
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

fn backend(what: &'static str, source: Cause) -> EngineError {
    EngineError::Backend {
        what,
        kind: nowcast_types::ErrorKind::Unavailable,
        source,
    }
}

fn claimed(log: &KafkaLog) -> Result<Epochs, EngineError> {
    let claim = |at| {
        let epoch = Ownership::claim(log, PartitionId(at)).wait();
        epoch
            .map(|epoch| Epoch(epoch.0))
            .map_err(|error| backend("log", Box::new(error)))
    };
    let claims = (0..log.config().partitions).map(claim);
    Ok(Epochs::by_partition(claims.collect::<Result<_, _>>()?))
}

/// Takes the catalogue in, then every event, and waits until all of it is folded.
async fn fill(engine: &Engine, input: &Input) -> Result<()> {
    for items in input.items.chunks(2_000) {
        let stored = engine.put_items(items).await?;
        ensure!(stored.refused.is_empty(), "{:?}", stored.refused);
        let last = stored.last.context("items are stored")?;
        ensure!(engine.wait_catalog(last).await, "the catalogue lags");
    }
    let arrival = Arrival {
        received_at: engine.now(),
        clock: ArrivalClock::EventTime,
        device: DeviceClass::default(),
        keeps_letters: true,
    };
    let mut at = 0;
    for events in input.events.chunks(BATCH_EVENTS) {
        let drafts: Vec<_> = events
            .iter()
            .enumerate()
            .map(|(nth, event)| event.draft(at + nth))
            .collect();
        at += events.len();
        let outcome = engine.ingest(&drafts, &arrival).await;
        let refused = outcome
            .fates
            .iter()
            .find(|fate| !matches!(fate, EventFate::Accepted { .. }));
        ensure!(refused.is_none(), "{refused:?}");
        // One after the other, so that every combination has the same order.
        ensure!(engine.wait_applied(&outcome.ends).await, "the fold lags");
    }
    Ok(())
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so()? {
        ensure!(Instant::now() < deadline, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Ok(())
}
