//! Every endpoint does what its description says.

use crate::harness::{Server, Setup, eventually, items};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn items_are_put_patched_shown_and_deleted() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let attributes = json!({"price": 3.5, "embedding": [0.5, -1.0, 2e-3]});
    let item = json!({"categories": ["a"], "tags": ["t"], "attributes": attributes});
    let put = client
        .json(Method::PUT, "/v1/items/i%2F1?wait=applied", &item)
        .await
        .ok();
    assert_eq!(put, json!({"item_id": "i/1", "applied": true}));
    let shown = client.get("/v1/items/i%2F1").await.ok();
    assert_eq!(shown["item_id"], "i/1");
    assert_eq!(shown["attributes"], attributes);

    let change = json!({"title": "T", "embedding": null});
    let patch = json!({"tags": null, "available": false, "attributes": change});
    client
        .json(Method::PATCH, "/v1/items/i%2F1?wait=applied", &patch)
        .await
        .ok();
    let shown = client.get("/v1/items/i%2F1").await.ok();
    assert_eq!(shown["attributes"], json!({"price": 3.5, "title": "T"}));
    assert_eq!(
        (&shown["available"], shown.get("tags")),
        (&json!(false), None)
    );

    client
        .send(Method::DELETE, "/v1/items/i%2F1?wait=applied", &[], "")
        .await
        .ok();
    let gone = client.get("/v1/items/i%2F1").await;
    assert_eq!(
        (gone.status, gone.code().as_str()),
        (StatusCode::NOT_FOUND, "not_found")
    );
    let patch = client.json(Method::PATCH, "/v1/items/i%2F1", &patch).await;
    assert_eq!(patch.status, StatusCode::NOT_FOUND);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_side_by_side_lose_nothing() {
    let server = Server::new().await;
    let mut client = server.client().await;
    client
        .json(Method::PUT, "/v1/items/i1", &json!({}))
        .await
        .ok();
    let mut patches = tokio::task::JoinSet::new();
    for number in 0..16 {
        let mut client = server.client().await;
        patches.spawn(async move {
            let patch = json!({"attributes": {format!("a{number}"): number}});
            client
                .json(Method::PATCH, "/v1/items/i1?wait=applied", &patch)
                .await
                .ok();
        });
    }
    while let Some(done) = patches.join_next().await {
        done.unwrap();
    }
    let shown = client.get("/v1/items/i1").await.ok();
    assert_eq!(shown["attributes"].as_object().unwrap().len(), 16);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_items_come_at_once_and_bad_ones_are_named() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let body = json!([{"item_id": "a", "tags": ["x"]}, {"tags": []}, {"item_id": "b", "price": 1}]);
    let reply = client.post("/v1/items?wait=applied", &body).await;
    assert_eq!(reply.status, StatusCode::MULTI_STATUS);
    let answer = reply.json();
    assert_eq!(
        (&answer["accepted"], &answer["refused"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(answer["errors"][0]["index"], 1);
    assert_eq!(answer["errors"][0]["error"]["code"], "missing");
    assert_eq!(answer["errors"][1]["error"]["field"], "price");
    client.get("/v1/items/a").await.ok();
    let none = client.post("/v1/items", &json!([{"tags": []}])).await;
    assert_eq!(
        (none.status, none.code().as_str()),
        (StatusCode::BAD_REQUEST, "all_refused")
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_a_record_a_profile_and_an_end() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let record = json!({"segment": "premium", "attributes": {"age": 30, "city": "Ulm"}});
    client
        .json(Method::PUT, "/v1/users/ann?wait=applied", &record)
        .await
        .ok();
    let patch = json!({"attributes": {"age": null}});
    client
        .json(Method::PATCH, "/v1/users/ann?wait=applied", &patch)
        .await
        .ok();
    let item = json!({"categories": ["news"]});
    client
        .json(Method::PUT, "/v1/items/i1?wait=applied", &item)
        .await
        .ok();
    let event = json!({"event_type": "like", "user_id": "ann", "session_id": "s", "item_id": "i1"});
    client.post("/v1/events?wait=applied", &event).await.ok();

    let profile = client.get("/v1/users/ann/profile").await.ok();
    assert_eq!(profile["segment"], "premium");
    assert_eq!(profile["attributes"], json!({"city": "Ulm"}));
    assert_eq!(profile["history"][0]["item_id"], "i1");
    assert_eq!(profile["history"][0]["event_type"], "like");
    assert_eq!(profile["affinity"][0]["category"], "news");
    assert_eq!(profile["session"]["depth"], 1);
    assert!(
        !profile.to_string().contains("ann"),
        "the raw id is not repeated"
    );
    let features = client
        .get("/v1/features?user_id=ann&views=user_top_categories_1d")
        .await
        .ok();
    assert_eq!(features["features"][0]["value"][0][0], "news");

    let erased = client
        .send(Method::DELETE, "/v1/users/ann", &[], "")
        .await
        .ok();
    assert_eq!(erased["applied"], true);
    assert_eq!(erased["user_key"], profile["user_key"]);
    let gone = client.get("/v1/users/ann/profile").await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    let features = client.get("/v1/features?user_id=ann").await.ok();
    for feature in features["features"].as_array().unwrap() {
        if feature["entity"] == "user" {
            assert_eq!(feature["value"], Value::Null, "{feature}");
        }
    }
    let ask = json!({"user_id": "ann", "k": 5, "impressions": false, "explain": true});
    let answer = client.post("/v1/recommendations", &ask).await.ok();
    assert_eq!(answer["explanation"]["history_len"], 0);
    assert_ne!(answer["rung"], "personalized");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recommendations_take_every_kind_of_subject() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let catalogue: Vec<Value> = (0..10)
        .map(|i| json!({"item_id": format!("i{i}"), "categories": ["c"], "attributes": {"n": i}}))
        .collect();
    client
        .post("/v1/items?wait=applied", &json!(catalogue))
        .await
        .ok();
    for user in ["ann", "bob"] {
        for item in ["i1", "i2"] {
            let event = json!({"event_type": "click", "user_id": user, "item_id": item});
            client.post("/v1/events?wait=applied", &event).await.ok();
        }
    }
    let event = json!({"event_type": "click", "session_id": "s1", "item_id": "i1"});
    client.post("/v1/events?wait=applied", &event).await.ok();

    let mut ask = async |body: Value| client.post("/v1/recommendations", &body).await.ok();
    let visitor = ask(json!({"session_id": "s1", "k": 3})).await;
    assert_eq!(
        (&visitor["rung"], items(&visitor)[0].as_str()),
        (&json!("personalized"), "i2")
    );
    assert_eq!(visitor["slot"], "default");
    let history = ask(json!({"history": ["i1"], "k": 3})).await;
    assert_eq!(items(&history)[0], "i2");
    let nobody = ask(json!({"k": 3})).await;
    assert_ne!(nobody["rung"], "personalized");
    let excluded = ask(json!({"history": ["i1"], "k": 9, "exclude": ["i2"]})).await;
    assert!(!items(&excluded).contains(&"i2".to_owned()));
    let filtered =
        ask(json!({"user_id": "ann", "k": 9, "filter": "item.attributes.n > 7.0"})).await;
    let mut kept = items(&filtered);
    kept.sort();
    assert_eq!(kept, ["i8", "i9"]);
    let candidates = ask(json!({"user_id": "ann", "candidates": ["i9", "i2", "new"]})).await;
    assert_eq!(
        items(&candidates).len(),
        3,
        "all of the caller's list is returned"
    );
    let explained = ask(json!({"user_id": "ann", "k": 3, "explain": true})).await;
    assert_eq!(explained["explanation"]["history_len"], 2);
    assert!(explained["explanation"]["positions"][0]["offset"].is_u64());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_shown_becomes_events_after_the_answer() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let catalogue = json!([{"item_id": "i1"}, {"item_id": "i2"}]);
    client.post("/v1/items?wait=applied", &catalogue).await.ok();
    let headers = [
        ("x-request-id", "answer-1"),
        ("content-type", "application/json"),
    ];
    let ask = json!({"user_id": "ann", "k": 2}).to_string();
    let answer = client
        .send(Method::POST, "/v1/recommendations", &headers, ask)
        .await;
    assert_eq!(answer.headers["x-request-id"], "answer-1");
    assert_eq!(answer.ok()["request_id"], "answer-1");
    let mut probe = server.client().await;
    eventually(async || {
        let status = probe.get("/v1/status").await.ok();
        let slot = &status["slots"][0];
        (slot["slot"] == "default" && slot["impressions"] == 2)
            .then_some(())
            .ok_or_else(|| status.to_string())
    })
    .await;
    let engine = &server.engine;
    let partition = engine.pseudonymizer().user("ann").partition(2);
    let stream = nowcast_types::Stream::Events;
    let batches = engine.log().read(stream, partition, 0, 1 << 20).unwrap();
    let records: Vec<_> = batches.iter().flat_map(|batch| batch.records()).collect();
    let shown: Vec<_> = records
        .iter()
        .filter_map(|(_, record)| match record.as_ref().unwrap() {
            nowcast_types::Record::Event(event) => Some((event.request_id, event.slot)),
            _ => None,
        })
        .collect();
    assert_eq!(shown, [(Some("answer-1"), Some("default")); 2]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn similar_and_trending_follow_what_people_do() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let catalogue: Vec<Value> = (0..6)
        .map(|i| json!({"item_id": format!("i{i}"), "categories": [format!("c{}", i % 2)]}))
        .collect();
    client
        .post("/v1/items?wait=applied", &json!(catalogue))
        .await
        .ok();
    client
        .json(
            Method::PUT,
            "/v1/users/u0?wait=applied",
            &json!({"segment": "pro"}),
        )
        .await
        .ok();
    for user in 0..4 {
        for item in ["i1", "i2"] {
            let event =
                json!({"event_type": "click", "user_id": format!("u{user}"), "item_id": item});
            client.post("/v1/events?wait=applied", &event).await.ok();
        }
    }
    let similar = client.get("/v1/items/i1/similar?k=1").await.ok();
    assert_eq!(items(&similar), ["i2"]);
    let unknown = client.get("/v1/items/nothing/similar").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);

    let mut probe = server.client().await;
    eventually(async || {
        let global = items(&probe.get("/v1/trending?k=5").await.ok());
        let category = items(&probe.get("/v1/trending?category=c0").await.ok());
        let segment = items(&probe.get("/v1/trending?segment=pro").await.ok());
        let mut seen = [global.clone(), segment.clone()];
        seen.iter_mut().for_each(|list| list.sort());
        let wanted = ["i1".to_owned(), "i2".to_owned()];
        let is_right = seen.iter().all(|list| *list == wanted) && category == ["i2"];
        is_right
            .then_some(())
            .ok_or_else(|| format!("{global:?} {category:?} {segment:?}"))
    })
    .await;
    let both = client.get("/v1/trending?category=a&segment=b").await;
    assert_eq!(both.status, StatusCode::BAD_REQUEST);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn features_of_items_are_merged_over_partitions() {
    let server = Server::new().await;
    let mut client = server.client().await;
    for user in 0..8 {
        let event = json!({"event_type": "click", "user_id": format!("u{user}"), "item_id": "i1"});
        client.post("/v1/events?wait=applied", &event).await.ok();
    }
    let report = client
        .get("/v1/features?item_id=i1&views=item_clicks_10m")
        .await
        .ok();
    assert_eq!(report["features"][0]["value"], 8.0, "{report}");
    let unknown = client.get("/v1/features?views=nothing").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_metrics_status_and_documents_answer() {
    let server = Server::new().await;
    let mut client = server.client().await;
    assert_eq!(client.get("/healthz").await.ok()["status"], "ok");
    let mut probe = server.client().await;
    eventually(async || {
        let reply = probe.get("/readyz").await;
        (reply.status == StatusCode::OK)
            .then_some(())
            .ok_or_else(|| format!("{reply:?}"))
    })
    .await;
    let event = json!({"event_type": "click", "user_id": "ann", "item_id": "i1"});
    client.post("/v1/events?wait=applied", &event).await.ok();
    client
        .post("/v1/recommendations", &json!({"user_id": "ann"}))
        .await
        .ok();

    let metrics = client.get("/metrics").await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    for name in [
        r#"nowcast_ingest_events_total{result="accepted"} 1"#,
        "nowcast_ingest_append_seconds_bucket",
        "nowcast_event_to_visible_seconds_bucket",
        "nowcast_stage_seconds_bucket",
        "nowcast_answers_total",
        "nowcast_fold_lag_records",
        "nowcast_http_request_seconds_bucket",
        "nowcast_http_free_places",
        "nowcast_impressions_shed_total",
    ] {
        assert!(text.contains(name), "{name} is missing in\n{text}");
    }
    let status = client.get("/v1/status").await.ok();
    assert_eq!(
        (&status["state"], &status["events_total"]),
        (&json!("live"), &json!(1))
    );
    assert_eq!(status["partitions"].as_array().unwrap().len(), 2);

    let document = client.get("/openapi.json").await.ok();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for path in ["/docs", "/"] {
        let page = client.get(path).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(
            page.headers["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/html")
        );
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_finishes_what_it_has_begun() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_disk(Setup::default(), folder.path()).await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let mut client = server.client().await;
        writers.spawn(async move {
            let events: Vec<Value> = (0..50)
                .map(|i| {
                    json!({"event_id": format!("{writer}-{i}"), "event_type": "click",
                                "user_id": format!("u{writer}"), "item_id": format!("i{i}")})
                })
                .collect();
            client.post("/v1/events", &json!(events)).await.ok()["accepted"]
                .as_u64()
                .unwrap()
        });
    }
    let mut accepted = 0;
    // The first answer shows that requests are under way; the others may be anywhere.
    accepted += writers.join_next().await.unwrap().unwrap();
    server.handle.shutdown().await;
    while let Some(writer) = writers.join_next().await {
        // A request whose head had not arrived may be turned away, by a closed connection.
        accepted += writer.unwrap_or(0);
    }
    server.engine.close();
    drop(server.engine);

    let server = Server::on_disk(Setup::default(), folder.path()).await;
    let mut probe = server.client().await;
    eventually(async || {
        let reply = probe.get("/readyz").await;
        (reply.status == StatusCode::OK)
            .then_some(())
            .ok_or_else(|| format!("{reply:?}"))
    })
    .await;
    let counters = server.engine.processor().counters();
    let applied: u64 = counters.iter().map(|counters| counters.applied).sum();
    assert_eq!(
        applied, accepted,
        "every acknowledged event is there after a restart, once"
    );
    server.stop().await;
}
