//! Three brokers: one is lost and comes back; the shared cluster is one cluster.
//!
//! Starting Kafka is dear, so each kind of cluster is started once.

use nowcast_services::{Kafka, unique_name};
use std::time::{Duration, Instant};

#[test]
fn a_killed_broker_hands_over_its_partitions_and_comes_back_in_sync() {
    let started = Instant::now();
    let kafka = Kafka::start().unwrap();
    eprintln!("kafka: ready after {:?}", started.elapsed());
    kafka.create_topic("events", 2).unwrap();
    let again = kafka.create_topic("events", 2).unwrap_err().to_string();
    assert!(again.contains("already exists"), "{again}");

    let leader = kafka.leader_of("events", 0).unwrap();
    let (name, port) = (leader.name().to_owned(), leader.address().port());
    leader.kill().unwrap();
    assert!(!leader.is_running());
    let deadline = Instant::now() + Duration::from_secs(180);
    loop {
        let heir = kafka
            .leader_of("events", 0)
            .map(|heir| heir.name().to_owned());
        if heir.is_ok_and(|heir| heir != name) {
            break;
        }
        assert!(Instant::now() < deadline, "nobody took over");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(kafka.view().unwrap().brokers.len(), 2);

    leader.restart().unwrap();
    kafka.wait_whole().unwrap();
    assert_eq!(leader.address().port(), port);
    let view = kafka.view().unwrap();
    assert_eq!(view.brokers.len(), 3);
    assert_eq!(view.partition("events", 0).unwrap().in_sync.len(), 3);
    assert!(view.partition("events", 2).is_none());
}

#[test]
fn two_who_share_kafka_have_the_same_one() {
    let one = Kafka::shared().unwrap();
    let other = std::thread::spawn(|| Kafka::shared().unwrap())
        .join()
        .unwrap();
    assert_eq!(one.bootstrap(), other.bootstrap());
    let topic = unique_name("events");
    one.create_topic(&topic, 1).unwrap();
    drop(one);
    assert!(other.view().unwrap().partition(&topic, 0).is_some());
}
