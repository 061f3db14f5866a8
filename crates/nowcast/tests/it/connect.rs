//! Kafka Connect on both sides of an input topic, with the connectors that are shipped.

use crate::server::Server;
use crate::waiting::wait_until;
use nowcast_services::{Connect, unique_name};
use serde_json::{Value, json};
use std::path::Path;

/// A connector as it is shipped, with other values for some of its keys.
pub(crate) fn shipped(name: &str, changes: &Value) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kafka-connect");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    for (key, value) in changes.as_object().unwrap() {
        assert!(config.get(key).is_some(), "{name} has no {key}");
        config[key] = value.clone();
    }
    config
}

#[test]
fn lines_of_a_file_become_events_and_a_sink_archives_them() {
    let connect = Connect::shared().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (spool, archive) = (
        dir.path().join("events.ndjson"),
        dir.path().join("archive.ndjson"),
    );
    let lines: String = (0..40)
        .map(|n| {
            let (user, item) = (format!("u{}", n % 4), format!("i{n}"));
            let event = json!({"event_type": "click", "user_id": user, "item_id": item});
            format!("{event}\n")
        })
        .collect();
    std::fs::write(&spool, &lines).unwrap();
    let topic = unique_name("site");
    connect.kafka().create_topic(&topic, 1).unwrap();
    let (source, sink) = (unique_name("source"), unique_name("sink"));
    let changes = json!({"file": spool, "topic": topic});
    let config = shipped("events-source.json", &changes);
    connect.put_connector(&source, &config).unwrap();
    let changes = json!({"file": archive, "topics": topic});
    let config = shipped("events-sink.json", &changes);
    connect.put_connector(&sink, &config).unwrap();

    let url = format!("intake.url=kafka://{}", connect.kafka().bootstrap());
    let group = format!("intake.group={}", unique_name("group"));
    let topics = format!("intake.topics=[{{topic=\"{topic}\", kind=\"events\", format=\"json\"}}]");
    let mut args = vec!["up", "--json", "--listen", "127.0.0.1:0", "--data", "d"];
    args.extend(["--set", &url, "--set", &group, "--set", &topics]);
    let server = Server::start(dir.path(), &args);
    let clicks = |user: usize| {
        let (_, body) = server.ask("GET", &format!("/v1/users/u{user}/profile"), "");
        let profile: Value = serde_json::from_str(&body).unwrap_or_default();
        profile["history_len"].as_u64().unwrap_or(0)
    };
    wait_until("every line is in a profile", || {
        (0..4).all(|user| clicks(user) == 10)
    });
    wait_until("every line is in the archive", || {
        std::fs::read_to_string(&archive).is_ok_and(|archived| archived == lines)
    });
    connect.delete_connector(&source).unwrap();
    connect.delete_connector(&sink).unwrap();
}
