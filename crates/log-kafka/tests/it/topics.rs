//! Topics are made as configured, and refused where a broker's are not.

use crate::rig::{config, open, shared};
use nowcast_log_kafka::{KafkaConfig, KafkaLogError, Mismatch};
use nowcast_types::{ErrorKind, Span};

#[test]
fn a_topic_that_disagrees_is_refused_with_both_values() {
    let kafka = shared();
    let ours = KafkaConfig {
        partitions: 2,
        ..config(&kafka.bootstrap())
    };
    drop(open(ours.clone()).unwrap());
    drop(open(ours.clone()).expect("the same settings fit"));

    let refused = |config: KafkaConfig, setting: &str, values: (&str, &str)| {
        let error = open(config).err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let KafkaLogError::TopicDisagrees {
            topic,
            setting: named,
            ours,
            theirs,
            ..
        } = &error
        else {
            panic!("{error}");
        };
        assert!(topic.starts_with(&ours_prefix(topic)), "{topic}");
        assert_eq!(
            (*named, ours.as_str(), theirs.as_str()),
            (setting, values.0, values.1)
        );
    };
    let three = KafkaConfig {
        partitions: 3,
        ..ours.clone()
    };
    refused(three, "partitions", ("3", "2"));
    let one_copy = KafkaConfig {
        replication: 2,
        ..ours.clone()
    };
    refused(one_copy, "replication", ("2", "3"));
    let one_in_sync = KafkaConfig {
        min_insync_replicas: 1,
        ..ours.clone()
    };
    refused(one_in_sync, "min.insync.replicas", ("1", "2"));
    let shorter = KafkaConfig {
        retention_age: Span(86_400_000),
        ..ours.clone()
    };
    drop(open(shorter.clone()).expect("retention is warned of"));
    let strict = KafkaConfig {
        retention_mismatch: Mismatch::Refuse,
        ..shorter
    };
    refused(strict, "retention.ms", ("86400000", "34560000000"));
}

fn ours_prefix(topic: &str) -> String {
    topic
        .rsplit_once('.')
        .expect("prefix and stream")
        .0
        .to_owned()
}

#[test]
fn topics_are_not_created_when_that_is_off_or_cannot_be() {
    let kafka = shared();
    let off = KafkaConfig {
        is_creating_topics: false,
        ..config(&kafka.bootstrap())
    };
    let error = open(off).err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains(".events"), "{error}");
    let too_many = KafkaConfig {
        replication: 5,
        ..config(&kafka.bootstrap())
    };
    let error = open(too_many).err().expect("refused").to_string();
    assert!(error.contains("replication 5"), "{error}");
}

#[test]
fn a_cluster_that_does_not_answer_is_unavailable() {
    let nobody = KafkaConfig {
        read_timeout: Span(500),
        ..config("127.0.0.1:1")
    };
    let error = open(nobody).err().expect("nobody there");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
