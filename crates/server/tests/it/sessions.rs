//! Attributes of sessions on a real memcached, as part of the context of requests.

use crate::harness::{Client, Server, items};
use hyper::{Method, StatusCode};
use nowcast_server::Beside;
use nowcast_services::Memcached;
use nowcast_sessions::{MemcachedConfig, SessionStore};
use nowcast_types::Span;
use serde_json::{Value, json};
use std::sync::Arc;

const PATH: &str = "/v1/sessions/s1/attributes";

async fn server(memcached: &Memcached) -> Server {
    let config = MemcachedConfig {
        url: format!("memcached://{}", memcached.address()),
        read_timeout: Span(10_000),
        write_timeout: Span(10_000),
        pause: Span(0),
        ..MemcachedConfig::default()
    };
    let sessions = SessionStore::open(&config).unwrap().map(Arc::new);
    let server = Server::with(Beside {
        sessions,
        ..Beside::default()
    })
    .await;
    let mut client = server.client().await;
    for item in ["i1", "i2"] {
        let path = format!("/v1/items/{item}?wait=applied");
        client.json(Method::PUT, &path, &json!({})).await.ok();
    }
    server
}

/// Items for a session where the campaign is spring, and the whole answer.
async fn ask(client: &mut Client, session_id: &str, context: Option<Value>) -> (usize, Value) {
    let mut body = json!({"session_id": session_id, "filter": "context.campaign == 'spring'"});
    if let Some(context) = context {
        body["context"] = context;
    }
    let answer = client.post("/v1/recommendations", &body).await.ok();
    (items(&answer).len(), answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_see_the_attributes_of_their_session_below_what_the_request_says() {
    let memcached = Memcached::start().unwrap();
    let server = server(&memcached).await;
    let mut client = server.client().await;
    assert_eq!(ask(&mut client, "s1", None).await.0, 0);
    let put = json!({"campaign": "spring", "cart": {"value": 12.5}});
    let receipt = client.json(Method::PUT, PATH, &put).await.ok();
    assert_eq!(receipt["attributes"], 2);
    assert_eq!(ask(&mut client, "s1", None).await.0, 2);
    assert_eq!(ask(&mut client, "s2", None).await.0, 0);
    let autumn = json!({"campaign": "autumn"});
    assert_eq!(ask(&mut client, "s1", Some(autumn)).await.0, 0);
    let other = json!({"page": "home"});
    assert_eq!(ask(&mut client, "s1", Some(other)).await.0, 2);
    client.json(Method::PUT, PATH, &json!({})).await.ok();
    assert_eq!(ask(&mut client, "s1", None).await.0, 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_on_while_memcached_is_away_and_say_what_is_missing() {
    let memcached = Memcached::start().unwrap();
    let server = server(&memcached).await;
    let mut client = server.client().await;
    let spring = json!({"campaign": "spring"});
    client.json(Method::PUT, PATH, &spring).await.ok();
    let (len, answer) = ask(&mut client, "s1", None).await;
    assert_eq!((len, &answer["late"]), (2, &Value::Null));
    memcached.server().kill().unwrap();
    let (len, answer) = ask(&mut client, "s1", Some(spring.clone())).await;
    assert_eq!((len, &answer["late"]), (2, &json!(["session_attributes"])));
    let refused = client.json(Method::PUT, PATH, &spring).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.code(), "unavailable");
    memcached.server().restart().unwrap();
    client.json(Method::PUT, PATH, &spring).await.ok();
    let (len, answer) = ask(&mut client, "s1", None).await;
    assert_eq!((len, &answer["late"]), (2, &Value::Null));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_refused() {
    let memcached = Memcached::start().unwrap();
    let server = server(&memcached).await;
    let mut client = server.client().await;
    let list = client.json(Method::PUT, PATH, &json!([1])).await;
    assert_eq!(
        (list.status, list.code().as_str()),
        (StatusCode::BAD_REQUEST, "wrong_type")
    );
    let large = json!({"a": "x".repeat(4_096)});
    let large = client.json(Method::PUT, PATH, &large).await;
    assert_eq!(large.status, StatusCode::BAD_REQUEST);
    assert_eq!(large.code(), "out_of_range");
    server.stop().await;

    let without = Server::new().await;
    let mut client = without.client().await;
    let absent = client.json(Method::PUT, PATH, &json!({"a": 1})).await;
    assert_eq!(absent.status, StatusCode::NOT_FOUND);
    without.stop().await;
}
