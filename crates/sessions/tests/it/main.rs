//! Attributes of sessions on a real memcached: kept, forgotten, and done without when it is away.

#![allow(clippy::unwrap_used, reason = "this is all test code")]

use nowcast_services::Memcached;
use nowcast_sessions::{Attributes, MemcachedConfig, SessionStore};
use nowcast_types::{ByteSize, ErrorKind, SessionKey, Span};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Longer than anything takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);
const SESSION: SessionKey = SessionKey(0xfeed);

fn store(server: &Memcached, change: impl FnOnce(&mut MemcachedConfig)) -> SessionStore {
    let mut config = MemcachedConfig {
        url: format!("memcached://{}", server.address()),
        read_timeout: Span(30_000),
        write_timeout: Span(30_000),
        ..MemcachedConfig::default()
    };
    change(&mut config);
    SessionStore::open(&config).unwrap().unwrap()
}

fn attributes(value: serde_json::Value) -> Attributes {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn what_was_written_last_is_read_and_other_sessions_know_nothing_of_it() {
    let server = Memcached::start().unwrap();
    let store = store(&server, |_| {});
    assert_eq!(store.read(SESSION, PATIENCE).await.unwrap(), None);
    for value in [
        json!({"campaign": "spring", "cart": 3}),
        json!({"title": "naïve\r\nEND\r\n", "list": ["a", null, 1.5]}),
    ] {
        let written = attributes(value);
        store.write(SESSION, &written).await.unwrap();
        assert_eq!(store.read(SESSION, PATIENCE).await.unwrap(), Some(written));
    }
    assert_eq!(store.read(SessionKey(1), PATIENCE).await.unwrap(), None);
    store.write(SESSION, &Attributes::new()).await.unwrap();
    store.write(SESSION, &Attributes::new()).await.unwrap();
    assert_eq!(store.read(SESSION, PATIENCE).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_at_once_never_get_each_others_answers() {
    let server = Memcached::start().unwrap();
    let store = std::sync::Arc::new(store(&server, |config| config.connections_max = 4));
    let tasks: Vec<_> = (0..64_u64)
        .map(|session| {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move {
                for round in 0..20 {
                    let written = attributes(json!({"session": session, "round": round}));
                    store.write(SessionKey(session), &written).await.unwrap();
                    let read = store.read(SessionKey(session), PATIENCE).await.unwrap();
                    assert_eq!(read, Some(written));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn attributes_end_with_their_time_to_live() {
    let server = Memcached::start().unwrap();
    let store = store(&server, |config| config.ttl = Span(1_000));
    let written = attributes(json!({"a": 1}));
    store.write(SESSION, &written).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while store.read(SESSION, PATIENCE).await.unwrap().is_some() {
        assert!(Instant::now() < deadline, "it stays for ever");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn attributes_that_are_too_large_are_refused_before_they_are_sent() {
    let server = Memcached::start().unwrap();
    let store = store(&server, |config| config.attributes_bytes_max = ByteSize(20));
    let fits = attributes(json!({"a": "0123456789ab"}));
    store.write(SESSION, &fits).await.unwrap();
    let large = attributes(json!({"a": "0123456789abc"}));
    let error = store.write(SESSION, &large).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("21 bytes"), "{error}");
    assert_eq!(store.read(SESSION, PATIENCE).await.unwrap(), Some(fits));
}

#[tokio::test]
async fn a_restarted_server_has_forgotten_and_old_connections_are_not_used() {
    let server = Memcached::start().unwrap();
    let store = store(&server, |_| {});
    store
        .write(SESSION, &attributes(json!({"a": 1})))
        .await
        .unwrap();
    server.server().kill().unwrap();
    server.server().restart().unwrap();
    assert_eq!(store.read(SESSION, PATIENCE).await.unwrap(), None);
    store
        .write(SESSION, &attributes(json!({"a": 2})))
        .await
        .unwrap();
}

#[tokio::test]
async fn nobody_waits_for_a_server_that_failed_a_moment_ago() {
    let server = Memcached::start().unwrap();
    let written = attributes(json!({"a": 1}));
    let patient = store(&server, |_| {});
    patient.write(SESSION, &written).await.unwrap();
    let hasty = store(&server, |config| {
        config.read_timeout = Span(50);
        config.pause = Span(3_600_000);
    });
    server.server().freeze().unwrap();
    // The caller's own hurry is not held against the server.
    let hurried = hasty.read(SESSION, Duration::from_millis(1)).await;
    assert_eq!(hurried.unwrap_err().kind(), ErrorKind::Unavailable);
    let silent = hasty.read(SESSION, PATIENCE).await.unwrap_err();
    assert!(silent.to_string().contains("within 50 ms"), "{silent}");
    server.server().thaw().unwrap();
    let paused = hasty.read(SESSION, PATIENCE).await.unwrap_err();
    assert!(paused.to_string().contains("a moment ago"), "{paused}");
    assert_eq!(
        patient.read(SESSION, PATIENCE).await.unwrap(),
        Some(written)
    );

    let resumed = store(&server, |config| config.pause = Span(0));
    server.server().kill().unwrap();
    assert!(resumed.read(SESSION, PATIENCE).await.is_err());
    server.server().restart().unwrap();
    assert_eq!(resumed.read(SESSION, PATIENCE).await.unwrap(), None);
}

#[tokio::test]
async fn what_another_program_put_under_the_key_is_not_taken_for_attributes() {
    let server = Memcached::start().unwrap();
    let store = store(&server, |_| {});
    let mut foreign = BufReader::new(TcpStream::connect(server.address()).unwrap());
    let mut put = |value: &str| {
        let len = value.len();
        let command = format!("set nowcast:session:000000000000feed 0 0 {len}\r\n{value}\r\n");
        foreign.get_mut().write_all(command.as_bytes()).unwrap();
        let mut said = String::new();
        foreign.read_line(&mut said).unwrap();
        assert_eq!(said, "STORED\r\n");
    };
    put("[1]");
    let error = store.read(SESSION, PATIENCE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    put(r#"{"theirs": true}"#);
    let read = store.read(SESSION, PATIENCE).await.unwrap();
    assert_eq!(read, Some(attributes(json!({"theirs": true}))));
    put(&format!("{{\"a\": \"{}\"}}", "x".repeat(5_000)));
    assert!(store.read(SESSION, PATIENCE).await.is_err());
}
