//! Measures the log on Kafka against plain librdkafka loops of the same bytes, in turns within one
//! run: `cargo run --release -p nowcast-log-kafka --example measure_kafka [records]`.
//!
//! Without `NOWCAST_KAFKA` (brokers) it starts three of its own. One line of JSON per turn; on a
//! busy machine only the ratios of neighbouring lines mean something. `per_core` divides by the
//! processor time of this process, librdkafka's threads included, brokers not.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement, not a service"
)]

use nowcast_log::{AppendAck, EventLog, RecordBatch, StoredBatch, encode};
use nowcast_log_kafka::{KafkaConfig, KafkaLog, Topic};
use nowcast_services::{Kafka, unique_name};
use nowcast_types::{
    Consent, DeviceClass, Event, EventTypeCode, EventTypes, PartitionId, Record, SessionKey,
    Stream, Timestamp, UserKey,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;
const PARTITION: PartitionId = PartitionId(0);
/// Records per append, as an edge that takes batches would.
const APPEND_RECORDS: usize = 50;
/// Appends on their way.
const WINDOW: usize = 200;
const READ_BYTES: usize = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(120);

fn main() {
    let count: usize = std::env::args()
        .nth(1)
        .map_or(300_000, |n| n.parse().unwrap());
    let own = std::env::var("NOWCAST_KAFKA")
        .is_err()
        .then(|| Kafka::start().unwrap());
    let brokers = own
        .as_ref()
        .map_or_else(|| std::env::var("NOWCAST_KAFKA").unwrap(), Kafka::bootstrap);
    let config = KafkaConfig {
        brokers: brokers.split(',').map(str::to_owned).collect(),
        topic_prefix: unique_name("measure"),
        partitions: 1,
        ..KafkaConfig::default()
    };
    let log = KafkaLog::open(config.clone(), Arc::new(EventTypes::default())).unwrap();
    // The plain loops use a topic with the same settings.
    let plain = Topic::ItemDeltas.name(&config.topic_prefix);
    let events: Vec<Vec<u8>> = (0..count).map(encoded).collect();
    let bytes: usize = events.iter().map(Vec::len).sum();
    println!(
        r#"{{"records":{count},"bytes_per_record":{},"rounds":{ROUNDS}}}"#,
        bytes / count
    );
    for round in 0..ROUNDS {
        turn("plain producer", round, count, || {
            plain_produce(&config, &plain, &events, false)
        });
        turn("plain producer, headers", round, count, || {
            plain_produce(&config, &plain, &events, true);
        });
        turn("log append", round, count, || append(&log, count));
    }
    let total = count * ROUNDS;
    for round in 0..ROUNDS {
        turn("plain consumer", round, total, || {
            plain_consume(&config, &plain, total)
        });
        turn("log read", round, total, || read(&config, total, false));
        turn("log read and decode", round, total, || {
            read(&config, total, true)
        });
    }
}

fn turn(what: &str, round: usize, records: usize, work: impl FnOnce()) {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    work();
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!(
        r#"{{"turn":"{what}","round":{round},"records_per_second":{:.0},"per_core":{:.0}}}"#,
        records as f64 / seconds,
        records as f64 / cpu
    );
}

/// Processor time of this process; the kernel counts hundredths.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

fn with_event<T>(number: usize, use_it: impl FnOnce(&Record<'_>) -> T) -> T {
    let mut user = [7; 16];
    user[1..9].copy_from_slice(
        &(number as u64 % 50_000)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .to_le_bytes(),
    );
    let (id, item) = (
        format!("01J{number:020}"),
        format!("item-{}", number % 20_000),
    );
    let event = Event {
        event_id: &id,
        event_type: EventTypeCode::CLICK,
        user: UserKey(user),
        session: Some(SessionKey(number as u64 / 7)),
        item_id: Some(&item),
        timestamp: Timestamp(1_700_000_000_000 + number as i64),
        received_at: Timestamp(1_700_000_000_040 + number as i64),
        value: None,
        slot: Some("home"),
        request_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        device: DeviceClass::Mobile,
        location: Some("DE"),
        utc_offset_minutes: 60,
        properties: Some(r#"{"page":"start","position":4,"campaign":"autumn-sale"}"#),
        categories: ["books", "poetry"].into_iter().collect(),
        consent: Consent::ALL,
        schema_version: 1,
    };
    use_it(&Record::Event(event))
}

fn encoded(number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    with_event(number, |record| encode(record, &mut bytes));
    bytes
}

fn client(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", config.brokers.join(","));
    client
}

fn plain_produce(config: &KafkaConfig, topic: &str, events: &[Vec<u8>], with_headers: bool) {
    let producer: ThreadedProducer<DefaultProducerContext> = client(config)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("batch.size", "1048576")
        .set("compression.type", "lz4")
        .create()
        .unwrap();
    let key = [b'a'; 32];
    for event in events {
        let mut record = BaseRecord::to(topic)
            .partition(0)
            .key(&key[..])
            .payload(&event[..]);
        if with_headers {
            let mut headers = OwnedHeaders::new_with_capacity(4);
            for (key, value) in [
                ("id", "01J00000000000000000001"),
                ("type", "click"),
                ("schema", "nowcast-record/1"),
                (
                    "traceparent",
                    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                ),
            ] {
                headers = headers.insert(Header {
                    key,
                    value: Some(value),
                });
            }
            record = record.headers(headers);
        }
        while let Err((error, back)) = producer.send(record) {
            assert!(matches!(
                error,
                KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)
            ));
            record = back;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    producer.flush(TIMEOUT).unwrap();
}

fn append(log: &KafkaLog, count: usize) {
    let mut waiting: VecDeque<AppendAck> = VecDeque::new();
    let mut batch = RecordBatch::new();
    for number in 0..count {
        with_event(number, |record| batch.push(record));
        if batch.len() == APPEND_RECORDS || number + 1 == count {
            let full = std::mem::take(&mut batch);
            waiting.push_back(log.append(Stream::Events, PARTITION, full));
            if waiting.len() == WINDOW {
                waiting.pop_front().unwrap().wait().unwrap();
            }
        }
    }
    for ack in waiting {
        ack.wait().unwrap();
    }
}

fn plain_consume(config: &KafkaConfig, topic: &str, total: usize) {
    let consumer: BaseConsumer = client(config)
        .set("group.id", "measure")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&list).unwrap();
    let (mut seen, mut bytes) = (0, 0);
    while seen < total {
        if let Some(Ok(message)) = consumer.poll(TIMEOUT) {
            bytes += message.payload().map_or(0, <[u8]>::len);
            seen += 1;
        }
    }
    black_box(bytes);
}

/// As a process that has just begun reads.
fn read(config: &KafkaConfig, total: usize, is_decoding: bool) {
    let log = KafkaLog::open(config.clone(), Arc::new(EventTypes::default())).unwrap();
    let (mut next, mut bytes) = (0, 0);
    while next < total as u64 {
        let batches = log
            .read(Stream::Events, PARTITION, next, READ_BYTES)
            .unwrap();
        if is_decoding {
            for (_, record) in batches.iter().flat_map(StoredBatch::records) {
                black_box(record.unwrap());
            }
        } else {
            let all = batches.iter().flat_map(StoredBatch::encoded);
            bytes += all.map(|(_, encoded)| encoded.len()).sum::<usize>();
        }
        match batches.last() {
            Some(last) => next = last.end_offset(),
            None => {
                log.wait_beyond(Stream::Events, PARTITION, next, TIMEOUT);
            }
        }
    }
    black_box(bytes);
}
