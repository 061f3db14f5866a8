//! Brokers that die, freeze and come back, under load.

use crate::load::{Load, Written, check_all, read_all};
use crate::rig::{LONG, config, open, wait_until};
use nowcast_log::{EventLog, StoredBatch};
use nowcast_log_kafka::{KafkaConfig, KafkaLog};
use nowcast_services::{Kafka, Server};
use nowcast_types::{Offset, PartitionId, Stream};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

const LOAD: Load = Load {
    writers: 4,
    appends: u64::MAX,
    records: 3,
    pace: Duration::from_millis(3),
};

/// Brokers to break, by one test at a time.
struct Breakable {
    kafka: Arc<Kafka>,
    _alone: MutexGuard<'static, ()>,
}

fn breakable() -> Breakable {
    static CLUSTER: Mutex<Weak<Kafka>> = Mutex::new(Weak::new());
    static ALONE: Mutex<()> = Mutex::new(());
    let kafka = {
        let mut cluster = CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
        cluster.upgrade().unwrap_or_else(|| {
            let kafka = Arc::new(Kafka::start().expect("three brokers start"));
            *cluster = Arc::downgrade(&kafka);
            kafka
        })
    };
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for broker in kafka.brokers().iter().filter(|b| !b.is_running()) {
        broker.restart().unwrap();
    }
    kafka.wait_whole().unwrap();
    Breakable {
        kafka,
        _alone: alone,
    }
}

fn three_partitions(kafka: &Kafka) -> KafkaConfig {
    KafkaConfig {
        partitions: 3,
        ..config(&kafka.bootstrap())
    }
}

fn leader<'a>(kafka: &'a Kafka, config: &KafkaConfig) -> &'a Server {
    let topic = format!("{}.events", config.topic_prefix);
    kafka.leader_of(&topic, 0).unwrap()
}

/// Runs the load while `harm` does its work.
fn under_load(log: &KafkaLog, harm: impl FnOnce(&dyn Fn(u64))) -> Written {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| LOAD.run_while(log, || !is_done.load(Ordering::Acquire)));
        // Waits for the first partition to grow by so many records.
        let grow = |records: u64| {
            let end = || log.bounds(Stream::Events, PartitionId(0)).map(|b| b.end);
            let goal = end().unwrap_or(0) + records;
            wait_until("the log grows", || end().is_ok_and(|end| end >= goal));
        };
        harm(&grow);
        is_done.store(true, Ordering::Release);
        load.join().unwrap()
    })
}

#[test]
fn a_broker_killed_under_load_loses_and_reorders_nothing_acknowledged() {
    let cluster = breakable();
    let config = three_partitions(&cluster.kafka);
    let log = open(config.clone()).unwrap();
    for round in 0..2 {
        let written = under_load(&log, |grow| {
            grow(200);
            let broker = leader(&cluster.kafka, &config);
            broker.kill().unwrap();
            grow(200);
            broker.restart().unwrap();
            cluster.kafka.wait_whole().unwrap();
            grow(50);
        });
        println!(
            "round {round}: {} acknowledged, {} not",
            written.acked.len(),
            written.failed
        );
        check_round(&log, &written);
        // Numbers begin anew in each round.
        for partition in 0..3 {
            let (stream, partition) = (Stream::Events, PartitionId(partition));
            let end = log.bounds(stream, partition).unwrap().end;
            log.protect(stream, partition, end).unwrap();
            log.truncate_before(stream, partition, end).unwrap();
        }
    }
}

fn check_round(log: &KafkaLog, written: &Written) {
    assert!(!written.acked.is_empty());
    check_all(log, written);
}

#[test]
fn a_frozen_broker_loses_and_reorders_nothing_acknowledged() {
    let cluster = breakable();
    let config = three_partitions(&cluster.kafka);
    let log = open(config.clone()).unwrap();
    let mut away = None;
    let written = under_load(&log, |grow| {
        grow(200);
        let broker = leader(&cluster.kafka, &config);
        broker.freeze().unwrap();
        let frozen_at = Instant::now();
        grow(200);
        away = Some(frozen_at.elapsed());
        broker.thaw().unwrap();
        cluster.kafka.wait_whole().unwrap();
        grow(50);
    });
    println!(
        "{} acknowledged, {} not; went on {away:?} after the freeze",
        written.acked.len(),
        written.failed
    );
    check_round(&log, &written);
}

#[test]
fn a_reader_that_follows_the_end_goes_on_across_a_change_of_leader() {
    let cluster = breakable();
    let config = three_partitions(&cluster.kafka);
    let log = open(config.clone()).unwrap();
    // A process of its own reads what another writes.
    let reading = open(config.clone()).unwrap();
    let (position, is_done) = (AtomicU64::new(0), AtomicBool::new(false));
    let (stream, partition) = (Stream::Events, PartitionId(0));
    thread::scope(|scope| {
        let follower = scope.spawn(|| follow(&reading, &position, &is_done));
        under_load(&log, |grow| {
            grow(200);
            let broker = leader(&cluster.kafka, &config);
            broker.kill().unwrap();
            grow(200);
            broker.restart().unwrap();
            cluster.kafka.wait_whole().unwrap();
            let second = leader(&cluster.kafka, &config);
            second.freeze().unwrap();
            grow(200);
            second.thaw().unwrap();
            cluster.kafka.wait_whole().unwrap();
        });
        let end = log.bounds(stream, partition).unwrap().end;
        wait_until("the follower is at the end", || {
            position.load(Ordering::Acquire) >= end
        });
        is_done.store(true, Ordering::Release);
        let seen: Vec<Offset> = follower.join().unwrap();
        assert!(
            seen.iter().copied().eq(0..seen.len() as u64),
            "each once, in order"
        );
        let numbers = read_all(&log, partition);
        assert_eq!(numbers.len(), seen.len());
        let different: HashSet<u64> = numbers.iter().map(|(number, _)| *number).collect();
        assert_eq!(
            different.len(),
            numbers.len(),
            "the producer repeats nothing"
        );
    });
}

/// Reads from the start and along with the end, as a fold does.
fn follow(log: &KafkaLog, position: &AtomicU64, is_done: &AtomicBool) -> Vec<Offset> {
    let (stream, partition) = (Stream::Events, PartitionId(0));
    let mut seen = Vec::new();
    while !is_done.load(Ordering::Acquire) {
        let next = seen.len() as u64;
        match log.read(stream, partition, next, 1 << 20) {
            Ok(batches) if batches.is_empty() => {
                log.wait_beyond(stream, partition, next, LONG / 90);
            }
            Ok(batches) => {
                let offsets = batches.iter().flat_map(StoredBatch::records);
                seen.extend(offsets.map(|(o, _)| o).filter(|offset| *offset >= next));
            }
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
        position.store(seen.len() as u64, Ordering::Release);
    }
    seen
}
