//! The registry's stream on real brokers, written by two processes' worth of logs.

use nowcast_engine::SystemClock;
use nowcast_intake::EventRegistryLog;
use nowcast_log::EventLog;
use nowcast_log_kafka::{KafkaConfig, KafkaLog};
use nowcast_schemas::RegistryService;
use nowcast_schemas::registry::NewSchema;
use nowcast_services::{Kafka, unique_name};
use nowcast_types::{EventTypes, Span};
use std::sync::Arc;

fn open(config: &KafkaConfig) -> RegistryService {
    let log = KafkaLog::open(config.clone(), Arc::new(EventTypes::default())).unwrap();
    let log: Arc<dyn EventLog> = Arc::new(log);
    let changes = EventRegistryLog::new(log, Arc::new(SystemClock));
    RegistryService::open(Arc::new(changes)).unwrap()
}

fn register(service: &RegistryService, name: &str) -> u32 {
    let schema = format!(r#"{{"type":"enum","name":"{name}","symbols":["a"]}}"#);
    let new = NewSchema {
        schema,
        ..NewSchema::default()
    };
    service
        .write(|state| state.plan_register(name, &new))
        .unwrap()
}

#[test]
fn two_writers_on_brokers_never_give_one_id_to_two_schemas() {
    let kafka = Kafka::shared().unwrap();
    let config = KafkaConfig {
        brokers: kafka.bootstrap().split(',').map(str::to_owned).collect(),
        topic_prefix: unique_name("registry"),
        partitions: 1,
        delivery_timeout: Span(60_000),
        read_timeout: Span(60_000),
        ..KafkaConfig::default()
    };
    let (one, other) = (open(&config), open(&config));
    let mut ids: Vec<u32> = std::thread::scope(|scope| {
        let write = |service, number| {
            let names = (0..8).map(move |round| format!("e{number}_{round}"));
            scope.spawn(move || {
                names
                    .map(|name| register(service, &name))
                    .collect::<Vec<_>>()
            })
        };
        let threads = [write(&one, 0), write(&other, 1)];
        threads
            .into_iter()
            .flat_map(|t| t.join().unwrap())
            .collect()
    });
    ids.sort_unstable();
    assert_eq!(ids, (1..=16).collect::<Vec<u32>>(), "every id once");
    let third = open(&config);
    assert_eq!(third.read(|state| state.subjects(false).count()), 16);
}
