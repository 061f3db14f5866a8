//! What is refused, with which status and code.

use crate::harness::{Server, Setup};
use hyper::{Method, StatusCode};
use nowcast_server::{ApiKeyConfig, Scope, generate_key};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_status_code_and_field() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let long = "x".repeat(300);
    let post = Method::POST;
    for (method, path, body, status, code, field) in [
        (post.clone(), "/v1/events", "", 400, "empty", None),
        (post.clone(), "/v1/events", "{", 400, "malformed", None),
        (post.clone(), "/v1/events", "[7]", 400, "all_refused", None),
        (
            post.clone(),
            "/v1/events",
            "{}",
            400,
            "missing",
            Some("event_type"),
        ),
        (
            post.clone(),
            "/v1/events?wait=never",
            "{}",
            400,
            "malformed",
            Some("query"),
        ),
        (
            post.clone(),
            "/v1/events?wit=applied",
            "{}",
            400,
            "malformed",
            Some("query"),
        ),
        (
            post.clone(),
            "/v1/recommendations",
            "[]",
            400,
            "wrong_type",
            None,
        ),
        (
            post.clone(),
            "/v1/recommendations",
            r#"{"k":"5"}"#,
            400,
            "wrong_type",
            Some("k"),
        ),
        (
            post.clone(),
            "/v1/recommendations",
            r#"{"k":0}"#,
            400,
            "invalid_input",
            None,
        ),
        (
            post.clone(),
            "/v1/recommendations",
            r#"{"k":1000000}"#,
            400,
            "invalid_input",
            None,
        ),
        (
            post.clone(),
            "/v1/recommendations",
            r#"{"kk":5}"#,
            400,
            "unknown_field",
            Some("kk"),
        ),
        (
            post.clone(),
            "/v1/recommendations",
            r#"{"filter":"item."}"#,
            400,
            "invalid_input",
            None,
        ),
        (
            post.clone(),
            "/v1/recommendations",
            r#"{"slot":"nowhere"}"#,
            404,
            "not_found",
            None,
        ),
        (
            post.clone(),
            "/v1/recommendations",
            r#"{"user_id":""}"#,
            400,
            "empty",
            Some("user_id"),
        ),
        (post.clone(), "/v1/items", "{}", 400, "wrong_type", None),
        (
            Method::PUT,
            "/v1/items/i1",
            r#"{"x":1}"#,
            400,
            "unknown_field",
            Some("x"),
        ),
        (
            Method::PUT,
            "/v1/items/%00",
            "{}",
            400,
            "bad_character",
            Some("id"),
        ),
        (
            Method::PUT,
            "/v1/items/%ff",
            "{}",
            400,
            "malformed",
            Some("id"),
        ),
        (
            Method::PUT,
            &format!("/v1/items/{long}"),
            "{}",
            400,
            "too_long",
            Some("id"),
        ),
        (
            Method::PUT,
            "/v1/users/u1",
            r#"{"segment":5}"#,
            400,
            "wrong_type",
            Some("segment"),
        ),
        (
            Method::GET,
            "/v1/users/u1/profile",
            "",
            404,
            "not_found",
            None,
        ),
        (
            Method::GET,
            "/v1/trending?k=x",
            "",
            400,
            "malformed",
            Some("query"),
        ),
        (Method::GET, "/v1/nothing", "", 404, "not_found", None),
        (
            Method::GET,
            "/v1/events",
            "",
            405,
            "method_not_allowed",
            None,
        ),
        (
            Method::DELETE,
            "/healthz",
            "",
            405,
            "method_not_allowed",
            None,
        ),
    ] {
        let headers = [("content-type", "application/json")];
        let reply = client.send(method, path, &headers, body.to_owned()).await;
        assert_eq!(reply.status.as_u16(), status, "{path} {body}: {reply:?}");
        assert_eq!(reply.code(), code, "{path} {body}");
        let json = reply.json();
        assert_eq!(
            json["error"]["field"].as_str(),
            field,
            "{path} {body}: {json}"
        );
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_media_types_and_packings_are_refused() {
    let server = Server::new().await;
    let mut client = server.client().await;
    for header in [
        ("content-type", "application/xml"),
        ("content-encoding", "br"),
    ] {
        let reply = client
            .send(Method::POST, "/v1/events", &[header], "{}")
            .await;
        assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(reply.code(), "unsupported_media_type");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_json_is_refused_everywhere() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for (path, body) in [
        ("/v1/events", deep.clone()),
        (
            "/v1/events",
            format!(
                r#"{{"event_type":"click","user_id":"a","item_id":"i","properties":{{"a":{deep}}}}}"#
            ),
        ),
        ("/v1/events", format!(r#"{{"{}":{deep}}}"#, "x")),
        ("/v1/items", deep.clone()),
        ("/v1/recommendations", format!(r#"{{"context":{deep}}}"#)),
    ] {
        let headers = [("content-type", "application/json")];
        let reply = client.send(Method::POST, path, &headers, body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}");
        reply.code();
    }
    server.stop().await;
}

fn key(name: &str, scopes: &[Scope]) -> (ApiKeyConfig, String) {
    let key = generate_key().unwrap();
    let config = ApiKeyConfig {
        name: name.to_owned(),
        blake3: key.blake3,
        scopes: scopes.to_vec(),
    };
    (config, format!("Bearer {}", key.secret))
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_open_what_their_scopes_say_on_every_route() {
    use nowcast_server::routes::ROUTES;
    let (read, read_secret) = key("reader", &[Scope::Read]);
    let (write, write_secret) = key("tracker", &[Scope::Write]);
    let (admin, admin_secret) = key("admin", &[Scope::Admin]);
    let mut setup = Setup::default();
    setup.server.api_keys = vec![read, write, admin];
    let server = Server::in_memory(setup).await;
    let mut client = server.client().await;
    let callers = [
        (None, None),
        (Some(Scope::Read), Some(read_secret)),
        (Some(Scope::Write), Some(write_secret)),
        (Some(Scope::Admin), Some(admin_secret)),
    ];
    for route in ROUTES {
        for (scope, secret) in &callers {
            let is_allowed = match (route.policy.scope, scope) {
                (None, _) | (Some(_), Some(Scope::Admin)) => true,
                (Some(needed), Some(held)) => needed == *held,
                (Some(_), None) => false,
            };
            let headers: Vec<(&str, &str)> = secret
                .iter()
                .map(|s| ("authorization", s.as_str()))
                .collect();
            let path = route.path.replace("{id}", "x1");
            let reply = client
                .send(route.method.clone(), &path, &headers, "{}")
                .await;
            let denied = match scope {
                None => StatusCode::UNAUTHORIZED,
                Some(_) => StatusCode::FORBIDDEN,
            };
            if is_allowed {
                assert!(
                    ![401, 403].contains(&reply.status.as_u16()),
                    "{path} {scope:?}"
                );
            } else {
                assert_eq!(reply.status, denied, "{} {path} {scope:?}", route.method);
                reply.code();
            }
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_loopback_is_listened_on_without_a_key() {
    let mut setup = Setup::default();
    setup.server.listen = "0.0.0.0:0".parse().unwrap();
    assert!(setup.server.validate().unwrap_err().contains("api_keys"));
    setup.server.api_keys = vec![key("a", &[Scope::Read]).0];
    assert_eq!(setup.server.validate(), Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_need_a_key() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let body = json!({"event_type": "click", "user_id": "a", "item_id": "i"}).to_string();
    for (origin, status) in [
        ("https://evil.example", 403),
        ("http://localhost:5173", 200),
    ] {
        let reply = client
            .send(
                Method::POST,
                "/v1/events",
                &[("origin", origin)],
                body.clone(),
            )
            .await;
        assert_eq!(reply.status.as_u16(), status, "{origin}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_of_a_key_is_limited_and_says_when_to_come_back() {
    let mut setup = Setup::default();
    setup.server.requests_per_second_max = 5;
    let server = Server::in_memory(setup).await;
    let mut client = server.client().await;
    let mut limited = None;
    for _ in 0..20 {
        let reply = client.get("/v1/trending").await;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            limited = Some(reply);
            break;
        }
    }
    let limited = limited.expect("20 requests at once are more than 5 per second");
    assert_eq!(limited.code(), "rate_limited");
    let after: u64 = limited.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=2).contains(&after));
    assert_eq!(
        client.get("/healthz").await.status,
        StatusCode::OK,
        "health is never limited"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_stored_is_503_and_says_when_to_come_back() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let events: Vec<Value> = (0..3)
        .map(|i| json!({"event_id": format!("e{i}"), "event_type": "click", "user_id": "a", "item_id": "i"}))
        .collect();
    // A processor that has stopped applies nothing; the log still takes events.
    server.engine.close();
    let stored = client.post("/v1/events", &json!(events)).await.ok();
    assert_eq!(stored["accepted"], 3);
    server.handle.shutdown().await;
}
