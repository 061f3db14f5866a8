//! The same input into every combination of log and store: the same state, the same answers.

use crate::harness::{HandClock, START_MS, config, historic};
use nowcast_disk::{Fs, SimFs};
use nowcast_engine::pseudonym::PseudonymKey;
use nowcast_engine::{
    Backends, CallSubject, Embedded, Engine, EngineError, EventDraft, EventFate, Opened, Opening,
    Readiness, RecommendCall, Surroundings, When,
};
use nowcast_log::EventLog;
use nowcast_log_kafka::{KafkaConfig, KafkaLog, Ownership};
use nowcast_services::{Kafka, Redis, unique_name};
use nowcast_sim::{RawEvent, Traffic, TrafficOptions};
use nowcast_store::{Epoch, StateStore};
use nowcast_store_redis::{RedisConfig, RedisStore};
use nowcast_stream::{Duty, Epochs};
use nowcast_types::{PartitionId, Span};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const EVENTS: usize = 4_000;
const USERS: u32 = 60;
const ITEMS: u32 = 120;
/// Longer than anything takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// A log on Kafka or not, a store on Redis or not.
struct Mixed {
    kafka: Option<KafkaConfig>,
    redis: Option<RedisConfig>,
    /// Epochs where Kafka gives none.
    starts: AtomicU64,
}

impl Backends for Mixed {
    fn open(&self, opening: &Opening<'_>) -> Result<Opened, EngineError> {
        let start = self.starts.fetch_add(1, Ordering::SeqCst);
        let mut epochs = Epochs::same(Epoch(start + 1));
        let log: Arc<dyn EventLog> = match &self.kafka {
            None => Embedded::log(opening)?,
            Some(kafka) => {
                let log = KafkaLog::open(kafka.clone(), Arc::clone(opening.types)).unwrap();
                let claim = |at| Ownership::claim(&log, PartitionId(at)).wait().unwrap();
                let claims = (0..kafka.partitions).map(|at| Epoch(claim(at).0));
                epochs = Epochs::by_partition(claims.collect());
                Arc::new(log)
            }
        };
        let store: Arc<dyn StateStore> = match &self.redis {
            None => Embedded::store(opening)?,
            Some(redis) => Arc::new(RedisStore::open(redis.clone()).unwrap()),
        };
        let duty = Duty::All(epochs);
        Ok(Opened { log, store, duty })
    }
}

/// One combination, with what outlives its engines.
struct Combination {
    name: &'static str,
    fs: Arc<SimFs>,
    backends: Arc<Mixed>,
    runtime: Runtime,
}

/// What must be equal.
#[derive(Debug, PartialEq)]
struct Outcome {
    state: Vec<u64>,
    answers: Vec<String>,
}

impl Combination {
    fn new(name: &'static str, kafka: Option<&str>, redis: Option<&str>) -> Self {
        let kafka = kafka.map(|bootstrap| KafkaConfig {
            brokers: bootstrap.split(',').map(str::to_owned).collect(),
            topic_prefix: unique_name("engine"),
            partitions: config().events.partitions,
            delivery_timeout: Span(60_000),
            read_timeout: Span(60_000),
            ..KafkaConfig::default()
        });
        let redis = redis.map(|url| RedisConfig {
            url: url.to_owned(),
            namespace: unique_name("engine"),
            ..RedisConfig::default()
        });
        Self {
            name,
            fs: Arc::new(SimFs::new(3)),
            backends: Arc::new(Mixed {
                kafka,
                redis,
                starts: AtomicU64::new(0),
            }),
            runtime: Runtime::new().unwrap(),
        }
    }

    fn open(&self) -> Arc<Engine> {
        self.open_on(Arc::clone(&self.fs))
    }

    fn open_on(&self, fs: Arc<SimFs>) -> Arc<Engine> {
        let mut config = config();
        config.serving.record_impressions = false;
        config.serving.wait_applied_max = Span(120_000);
        config.stream.checkpoint_interval = Span(100);
        let around = Surroundings {
            data_dir: PathBuf::from("data"),
            shared_dir: None,
            fs: fs as Arc<dyn Fs>,
            clock: Arc::new(HandClock::new()),
            key: Some(PseudonymKey::new(1, [5; 32])),
            backends: Arc::clone(&self.backends) as Arc<dyn Backends>,
        };
        let engine = Engine::open_in(config, around).unwrap();
        wait_until(self.name, || {
            let readiness = engine.readiness();
            assert!(!matches!(readiness, Readiness::Failed(_)), "{readiness:?}");
            readiness == Readiness::Live
        });
        engine
    }

    fn fill(&self, engine: &Engine, events: &[RawEvent]) {
        self.runtime.block_on(async {
            for item in 0..ITEMS {
                let row = json!({ "categories": [format!("c{}", item % 7)] });
                let stored = engine.put_item(&format!("i{item}"), &row).await.unwrap();
                assert!(engine.wait_catalog(stored).await);
            }
            for some in events.chunks(400) {
                let drafts: Vec<EventDraft<'_>> = some.iter().map(draft).collect();
                let outcome = engine.ingest(&drafts, &historic(engine)).await;
                for fate in &outcome.fates {
                    assert!(matches!(fate, EventFate::Accepted { .. }), "{fate:?}");
                }
                assert!(engine.wait_applied(&outcome.ends).await, "{}", self.name);
            }
        });
    }
}

fn draft(event: &RawEvent) -> EventDraft<'static> {
    EventDraft {
        event_id: Some(format!("e{}", event.sequence).into()),
        event_type: Some(event.event_type().into()),
        user_id: Some(format!("u{}", event.user).into()),
        item_id: Some(format!("i{}", event.item).into()),
        timestamp: Some(When::Ms(event.timestamp_ms)),
        ..EventDraft::default()
    }
}

fn traffic() -> Vec<RawEvent> {
    let options = TrafficOptions {
        users: USERS,
        items: ITEMS,
        start_ms: START_MS - 3_600_000,
        events_per_second: 2,
        ..TrafficOptions::default()
    };
    Traffic::new(11, options).take(EVENTS).collect()
}

fn outcome(engine: &Engine) -> Outcome {
    engine.refresh_serving();
    let answer = |user: u32| {
        let user_id = format!("u{user}");
        let subject = CallSubject::User {
            user_id: &user_id,
            session_id: None,
        };
        let call = RecommendCall::new(subject, "default", 20);
        let answer = engine.recommend(&call).unwrap();
        assert!(answer.late.is_empty(), "{:?}", answer.late);
        format!("{:?} {:?}", answer.rung, answer.items)
    };
    Outcome {
        state: engine.processor().state_hashes(),
        answers: (0..USERS).map(answer).collect(),
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn every_combination_of_log_and_store_has_the_same_state_and_answers() {
    let kafka = Kafka::shared().expect("three brokers start");
    let redis = Redis::start().expect("redis starts");
    let (brokers, url) = (kafka.bootstrap(), redis.url());
    let (brokers, url) = (brokers.as_str(), url.as_str());
    let events = traffic();
    let local = Combination::new("embedded, embedded", None, None);
    let engine = local.open();
    local.fill(&engine, &events);
    let expected = outcome(&engine);
    assert!(
        expected
            .answers
            .iter()
            .any(|a| a.starts_with("Personalized"))
    );
    for combination in [
        Combination::new("kafka, embedded", Some(brokers), None),
        Combination::new("embedded, redis", None, Some(url)),
        Combination::new("kafka, redis", Some(brokers), Some(url)),
    ] {
        let engine = combination.open();
        combination.fill(&engine, &events);
        assert_eq!(outcome(&engine), expected, "{}", combination.name);
        engine.close();
        drop(engine);
        let again = combination.open();
        let state = again.processor().state_hashes();
        assert_eq!(state, expected.state, "{}, opened again", combination.name);
    }
}

#[test]
fn an_engine_on_another_machine_takes_over_and_the_first_is_shut_out() {
    let kafka = Kafka::shared().expect("three brokers start");
    let redis = Redis::start().expect("redis starts");
    let shared = Combination::new("kafka, redis", Some(&kafka.bootstrap()), Some(&redis.url()));
    let events = traffic();
    let (before, after) = events.split_at(EVENTS / 2);
    let first = shared.open();
    shared.fill(&first, before);
    // Its own disk: nothing but the log and the store is shared.
    let second = shared.open_on(Arc::new(SimFs::new(4)));
    shared.fill(&second, after);
    wait_until("the first is shut out", || {
        matches!(first.readiness(), Readiness::Failed(_))
    });
    let failure = first.readiness();
    assert!(format!("{failure:?}").contains("dismissed"), "{failure:?}");
    wait_until("the second has committed", || {
        second.processor().durable_all() == second.processor().applied_all()
    });
    let expected = second.processor().state_hashes();
    drop(second);
    let third = shared.open_on(Arc::new(SimFs::new(5)));
    assert_eq!(third.processor().state_hashes(), expected);
}
