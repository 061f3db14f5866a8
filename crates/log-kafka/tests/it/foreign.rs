//! What other clients see of our messages, and what we make of theirs.

use crate::rig::{LONG, config, open, shared, wait_until};
use nowcast_log::conformance::{EVENTS, append, with_event};
use nowcast_log::{EventLog, RecordBatch, StoredBatch, encode};
use nowcast_types::{ErrorKind, Record, UserKey};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::time::Instant;

#[test]
fn a_message_has_the_pseudonym_as_key_and_four_headers() {
    let kafka = shared();
    let config = config(&kafka.bootstrap());
    let topic = format!("{}.events", config.topic_prefix);
    let log = open(config).unwrap();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut batch = RecordBatch::new();
    let mut encoded = Vec::new();
    with_event(5, 3, |event| {
        let record = Record::Event(event.clone());
        encode(&record, &mut encoded);
        batch.push(&record);
    });
    batch.set_trace(trace);
    log.append(EVENTS.0, EVENTS.1, batch).wait().unwrap();

    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .set("group.id", "somebody")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&list).unwrap();
    let deadline = Instant::now() + LONG;
    let message = loop {
        assert!(Instant::now() < deadline, "no message");
        if let Some(Ok(message)) = consumer.poll(LONG / 10) {
            break message;
        }
    };
    assert_eq!(message.payload(), Some(&encoded[..]));
    let key = UserKey([7; 16]).to_string();
    assert_eq!(message.key(), Some(key.as_bytes()));
    let headers: Vec<(String, String)> = message
        .headers()
        .unwrap()
        .iter()
        .map(|header| {
            let value = String::from_utf8_lossy(header.value.unwrap()).into_owned();
            (header.key.to_owned(), value)
        })
        .collect();
    let expected = [
        ("id", "5"),
        ("type", "click"),
        ("schema", "nowcast-record/1"),
        ("traceparent", trace),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(headers, expected);
}

#[test]
fn bytes_that_are_no_record_are_errors_in_their_place() {
    let kafka = shared();
    let config = config(&kafka.bootstrap());
    let topic = format!("{}.events", config.topic_prefix);
    let log = open(config).unwrap();
    append(&log, 0..1, 0).unwrap();
    let somebody: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .create()
        .unwrap();
    let poison: [Option<&[u8]>; 3] = [Some(b"{\"json\":1}"), Some(&[1, 255, 255]), None];
    for payload in poison {
        let mut record = BaseRecord::<[u8], [u8]>::to(&topic).partition(0);
        if let Some(payload) = payload {
            record = record.payload(payload);
        }
        somebody.send(record).map_err(|(error, _)| error).unwrap();
    }
    somebody.flush(LONG).unwrap();
    append(&log, 1..2, 0).unwrap();
    let mut found = Vec::new();
    while found.len() < 5 {
        let next = found.len() as u64;
        let batches = log.read(EVENTS.0, EVENTS.1, next, 1 << 20).unwrap();
        assert!(!batches.is_empty(), "nothing at {next}");
        for (offset, record) in batches.iter().flat_map(StoredBatch::records) {
            assert_eq!(offset, found.len() as u64);
            found.push(record.map(drop).map_err(|error| error.kind()));
        }
    }
    let bad = Err(ErrorKind::Corrupt);
    assert_eq!(found, [Ok(()), bad, bad, bad, Ok(())]);
}

#[test]
fn the_markers_of_a_foreign_transaction_do_not_stop_a_reader() {
    let kafka = shared();
    let config = config(&kafka.bootstrap());
    let topic = format!("{}.events", config.topic_prefix);
    let log = open(config.clone()).unwrap();
    append(&log, 0..1, 0).unwrap();
    let somebody: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap())
        .set("transactional.id", &config.topic_prefix)
        .create()
        .unwrap();
    somebody.init_transactions(LONG).unwrap();
    somebody.begin_transaction().unwrap();
    let record = BaseRecord::<[u8], [u8]>::to(&topic)
        .partition(0)
        .payload(b"?");
    somebody.send(record).map_err(|(error, _)| error).unwrap();
    somebody.commit_transaction(LONG).unwrap();
    // The coordinator writes the marker after it has answered.
    assert!(log.wait_beyond(EVENTS.0, EVENTS.1, 1, LONG));
    wait_until("the marker is there", || {
        log.bounds(EVENTS.0, EVENTS.1).unwrap().end == 3
    });
    let last = append(&log, 1..2, 0).unwrap();
    assert_eq!(last, 3..4, "record, foreign record, marker, record");
    let mut offsets = Vec::new();
    while offsets.len() < 4 {
        let next = offsets.len() as u64;
        let batches = log.read(EVENTS.0, EVENTS.1, next, 1 << 20).unwrap();
        for (offset, record) in batches.iter().flat_map(StoredBatch::records) {
            offsets.push((offset, record.is_ok()));
        }
    }
    assert_eq!(offsets, [(0, true), (1, false), (2, false), (3, true)]);
}
