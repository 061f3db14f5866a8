//! Appends: many at once, more than fit, and nobody there to take them.

use crate::load::{Load, check_all};
use crate::rig::{config, open, shared};
use nowcast_log::conformance::{EVENTS, batch};
use nowcast_log::{EventLog, LogError};
use nowcast_log_kafka::{Compression, Entry, KafkaConfig, KafkaLog, Topic};
use nowcast_services::{Kafka, KafkaOptions};
use nowcast_types::{ByteSize, ErrorKind, Offset, PartitionId, Span};
use std::ops::Range;
use std::time::{Duration, Instant};

#[test]
fn many_concurrent_appends_are_all_there_and_in_order() {
    let kafka = shared();
    for compression in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let config = KafkaConfig {
            partitions: 3,
            compression,
            ..config(&kafka.bootstrap())
        };
        let log = open(config).unwrap();
        let load = Load {
            writers: 4,
            appends: 300,
            records: 5,
            pace: Duration::ZERO,
        };
        let written = load.run(&log);
        assert_eq!(written.failed, 0);
        check_all(&log, &written);
    }
}

#[test]
fn appends_beyond_the_queue_are_refused_and_the_queued_ones_delivered() {
    let kafka = shared();
    let config = KafkaConfig {
        queue_bytes_max: ByteSize(64 << 10),
        linger: Span(500),
        ..config(&kafka.bootstrap())
    };
    let log = open(config).unwrap();
    let mut acks = Vec::new();
    let refused = loop {
        let number = acks.len() as u64;
        let mut ack = log.append(EVENTS.0, EVENTS.1, batch(number..number + 1, 1000));
        // A refusal is known at once; everything else takes as long as the linger.
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        match std::pin::Pin::new(&mut ack).poll(&mut context) {
            std::task::Poll::Ready(answer) => break answer.unwrap_err(),
            std::task::Poll::Pending => acks.push(ack),
        }
        assert!(acks.len() < 200, "the queue has no bound");
    };
    assert!(matches!(refused, LogError::Overloaded { .. }), "{refused}");
    assert!(acks.len() > 10);
    for (number, ack) in acks.into_iter().enumerate() {
        assert_eq!(ack.wait().unwrap().start, number as u64);
    }
}

#[test]
fn without_brokers_an_append_is_unavailable_in_time_and_never_acknowledged() {
    let kafka = Kafka::start_with(&KafkaOptions {
        brokers: 1,
        ..KafkaOptions::default()
    })
    .unwrap();
    let config = KafkaConfig {
        replication: 1,
        min_insync_replicas: 1,
        delivery_timeout: Span(2_000),
        read_timeout: Span(20_000),
        ..config(&kafka.bootstrap())
    };
    let log = open(config).unwrap();
    // Two seconds are short for a broker that has just begun, on a machine that does much else.
    append_patiently(&log, 0);
    kafka.brokers()[0].kill().unwrap();
    let asked = Instant::now();
    let ack = log.append(EVENTS.0, EVENTS.1, batch(1..2, 0));
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "append does not block"
    );
    // They wait behind the first, and are answered when it is: not each after a timeout of its own.
    let behind: Vec<_> = (2..20)
        .map(|n| log.append(EVENTS.0, EVENTS.1, batch(n..n + 1, 0)))
        .collect();
    for ack in std::iter::once(ack).chain(behind) {
        let error = ack.wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    assert!(
        asked.elapsed() < Duration::from_secs(30),
        "{:?}",
        asked.elapsed()
    );
    kafka.brokers()[0].restart().unwrap();
    let offsets = append_patiently(&log, 1);
    assert!(offsets.start >= 1, "the producer goes on by itself");
}

/// Appends one record, again and again until it is acknowledged.
fn append_patiently(log: &KafkaLog, number: u64) -> Range<Offset> {
    let asked = Instant::now();
    loop {
        let ack = log.append(EVENTS.0, EVENTS.1, batch(number..number + 1, 0));
        if let Ok(offsets) = ack.wait() {
            return offsets;
        }
        assert!(
            asked.elapsed() < Duration::from_secs(120),
            "never acknowledged"
        );
    }
}

#[test]
fn side_topics_carry_bytes_of_any_kind() {
    let kafka = shared();
    let log = open(config(&kafka.bootstrap())).unwrap();
    let entry = |value| Entry {
        key: b"item",
        value,
        kind: "item-delta",
        schema: "test",
    };
    let entries = [entry(&b"one"[..]), entry(b""), entry(&[0, 255])];
    let place = (Topic::ItemDeltas, PartitionId(0));
    let offsets = log
        .append_entries(place.0, place.1, &entries)
        .wait()
        .unwrap();
    assert_eq!(offsets, 0..3);
    assert!(log.wait_entries(place.0, place.1, 2, Duration::from_secs(60)));
    let mut found = Vec::new();
    while found.len() < 3 {
        let next = found.len() as u64;
        for stored in log.read_entries(place.0, place.1, next, 1 << 20).unwrap() {
            found.extend(stored.encoded().map(|(_, value)| value.to_vec()));
        }
    }
    assert_eq!(found, [b"one".to_vec(), vec![], vec![0, 255]]);
}
