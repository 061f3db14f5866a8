//! Events in: layouts, packings, retries, mixed batches, waiting, dead letters.

use crate::harness::{Client, Server, items};
use hyper::{Method, StatusCode};
use nowcast_types::{PartitionId, Record, Stream};
use serde_json::{Value, json};
use std::io::Write;

fn click(id: &str, user: &str, item: &str) -> Value {
    json!({"event_id": id, "event_type": "click", "user_id": user, "item_id": item})
}

async fn history_len(client: &mut Client, user: &str) -> u64 {
    let reply = client.get(&format!("/v1/users/{user}/profile")).await;
    if reply.status == StatusCode::NOT_FOUND {
        return 0;
    }
    reply.ok()["history_len"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_an_array_and_lines_are_taken() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let one = client
        .post("/v1/events?wait=applied", &click("e1", "ann", "i1"))
        .await;
    let one = one.ok();
    assert_eq!(
        (&one["status"], &one["event_id"]),
        (&json!("accepted"), &json!("e1"))
    );
    assert_eq!(one["applied"], true);

    let array = json!([click("e2", "ann", "i2"), click("e3", "ann", "i3")]);
    let many = client.post("/v1/events?wait=applied", &array).await.ok();
    assert_eq!(
        (&many["accepted"], &many["applied"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(
        many["results"][1],
        json!({"index": 1, "status": "accepted", "event_id": "e3"})
    );

    let lines = format!(
        "{}\n{}\n",
        click("e4", "ann", "i4"),
        click("e5", "ann", "i5")
    );
    let headers = [("content-type", "application/x-ndjson")];
    let path = "/v1/events?wait=applied";
    let reply = client
        .send(Method::POST, path, &headers, lines.clone())
        .await
        .ok();
    assert_eq!(reply["accepted"], 2);
    assert_eq!(history_len(&mut client, "ann").await, 5);

    let sniffed = client.send(Method::POST, path, &[], lines).await.ok();
    assert_eq!(sniffed["accepted"], 2);
    assert_eq!(
        history_len(&mut client, "ann").await,
        5,
        "the retry counts once"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_bodies_are_taken() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let body = json!([click("e1", "ann", "i1")]).to_string();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(body.as_bytes()).unwrap();
    let zstd = zstd::encode_all(body.as_bytes(), 3).unwrap();
    for (encoding, bytes) in [("gzip", gzip.finish().unwrap()), ("zstd", zstd)] {
        let headers = [
            ("content-type", "application/json"),
            ("content-encoding", encoding),
        ];
        let reply = client
            .send(Method::POST, "/v1/events", &headers, bytes)
            .await
            .ok();
        assert_eq!(reply["accepted"], 1, "{encoding}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_is_refused_and_the_connection_goes_on() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let zeros = vec![b' '; 50 << 20];
    let bomb = zstd::encode_all(&zeros[..], 1).unwrap();
    let headers = [("content-encoding", "zstd")];
    let reply = client
        .send(Method::POST, "/v1/events", &headers, bomb)
        .await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(reply.code(), "payload_too_large");
    client
        .post("/v1/events", &click("e1", "ann", "i1"))
        .await
        .ok();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_id_is_derived_and_a_retry_gets_the_same_answer() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let now = server.engine.now().0;
    let event = json!({"event_type": "view", "user_id": "ann", "item_id": "i1", "timestamp": now});
    let first = client.post("/v1/events?wait=applied", &event).await;
    let again = client.post("/v1/events?wait=applied", &event).await;
    assert_eq!(first.body, again.body);
    assert_eq!(first.json()["event_id"].as_str().unwrap().len(), 32);
    assert_eq!(history_len(&mut client, "ann").await, 1);

    let untimed = json!({"event_type": "view", "user_id": "bob", "item_id": "i1"});
    let first = client.post("/v1/events?wait=applied", &untimed).await.ok();
    let second = client.post("/v1/events?wait=applied", &untimed).await.ok();
    assert_ne!(
        first["event_id"], second["event_id"],
        "nothing says that it is a retry"
    );
    assert_eq!(history_len(&mut client, "bob").await, 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn good_events_beside_bad_ones_are_taken() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let batch = json!([
        click("e1", "ann", "i1"),
        {"event_type": "tap", "user_id": "ann", "item_id": "i2"},
        {"event_type": "click", "user_id": 7, "item_id": "i3"},
        click("e4", "ann", "i4"),
        {"event_type": "click", "user_id": "ann", "item_id": "i5", "timestamp": 1000},
    ]);
    let reply = client.post("/v1/events?wait=applied", &batch).await;
    assert_eq!(reply.status, StatusCode::MULTI_STATUS);
    let answer = reply.json();
    let of = |name: &str| answer[name].as_u64().unwrap();
    assert_eq!(
        (of("accepted"), of("refused"), of("dead_lettered")),
        (2, 2, 1)
    );
    let status = |index: usize| answer["results"][index]["status"].as_str().unwrap();
    let statuses: Vec<&str> = (0..5).map(status).collect();
    assert_eq!(
        statuses,
        [
            "accepted",
            "refused",
            "refused",
            "accepted",
            "dead_lettered"
        ]
    );
    let error = |index: usize| &answer["results"][index]["error"];
    assert_eq!(error(1)["code"], "unknown_name");
    assert_eq!(error(1)["field"], "event_type");
    assert_eq!(error(1)["value"], "tap");
    assert_eq!(
        (&error(2)["code"], &error(2)["field"]),
        (&json!("wrong_type"), &json!("user_id"))
    );
    assert_eq!(error(4)["code"], "too_old");
    assert_eq!(history_len(&mut client, "ann").await, 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_out_of_time_are_dead_letters_with_pseudonyms() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let ahead = server.engine.now().0 + 3_600_000;
    let event = json!({"event_type": "click", "user_id": "ann", "session_id": "s-1",
                       "item_id": "i1", "timestamp": ahead});
    let reply = client.post("/v1/events", &event).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(reply.code(), "too_far_ahead");

    let log = server.engine.log();
    let batches = log
        .read(Stream::DeadLetters, PartitionId(0), 0, 1 << 20)
        .unwrap();
    let records: Vec<_> = batches.iter().flat_map(|batch| batch.records()).collect();
    assert_eq!(records.len(), 1);
    let Record::DeadLetter(letter) = records[0].1.as_ref().unwrap() else {
        panic!("not a dead letter");
    };
    assert_eq!((letter.code, letter.field), ("too_far_ahead", "timestamp"));
    let key = server.engine.pseudonymizer().user("ann").to_string();
    let body: Value = serde_json::from_str(letter.body).unwrap();
    let redacted = &body["redacted"];
    assert_eq!(redacted["user_key"], key);
    assert_eq!(redacted["timestamp"], ahead);
    assert!(redacted.get("user_id").is_none() && redacted.get("session_id").is_none());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_wait_applied_the_next_recommendation_has_changed() {
    let server = Server::new().await;
    let mut client = server.client().await;
    for item in 0..20 {
        let body = json!({"categories": [format!("c{}", item % 2)]});
        client
            .json(
                Method::PUT,
                &format!("/v1/items/i{item}?wait=applied"),
                &body,
            )
            .await
            .ok();
    }
    let ask = json!({"user_id": "ann", "k": 20, "impressions": false});
    for round in 0..5 {
        let before = items(&client.post("/v1/recommendations", &ask).await.ok());
        assert_eq!(
            before.len(),
            20 - round,
            "what was clicked is not offered again"
        );
        let event = click(&format!("e{round}"), "ann", &before[0]);
        client.post("/v1/events?wait=applied", &event).await.ok();
        let after = items(&client.post("/v1/recommendations", &ask).await.ok());
        assert!(
            !after.contains(&before[0]),
            "the click counts on the very next request"
        );
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_enriched_at_the_edge() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let item = json!({"categories": ["news", "sport"]});
    client
        .json(Method::PUT, "/v1/items/i1?wait=applied", &item)
        .await
        .ok();
    let phone = [
        ("content-type", "application/json"),
        (
            "user-agent",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148",
        ),
    ];
    let event = json!({"event_type": "click", "user_id": "ann", "item_id": "i1",
        "timestamp": "2020-01-01T00:00:00Z"});
    let late = client
        .send(Method::POST, "/v1/events", &phone, event.to_string())
        .await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
    let event = click("e1", "ann", "i1").to_string();
    client
        .send(Method::POST, "/v1/events?wait=applied", &phone, event)
        .await
        .ok();

    let user = server.engine.pseudonymizer().user("ann");
    let partition = user.partition(2);
    let batches = server
        .engine
        .log()
        .read(Stream::Events, partition, 0, 1 << 20)
        .unwrap();
    let (_, record) = batches[0].records().next().unwrap();
    let Ok(Record::Event(event)) = record else {
        panic!("not an event");
    };
    assert_eq!(event.user, user);
    assert_eq!(event.device.name(), "mobile");
    assert_eq!(event.categories.as_slice(), ["news", "sport"]);
    server.stop().await;
}
