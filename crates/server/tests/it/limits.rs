//! Bounds on what clients can take: time, places, sizes, connections.

use crate::harness::{Server, Setup};
use hyper::{Method, StatusCode};
use nowcast_types::{ByteSize, Span};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_is_cut_off() {
    let mut setup = Setup::default();
    setup.server.header_timeout = Span(100);
    let server = Server::in_memory(setup).await;
    // The answer ends because the server hangs up; without the limit this would never return.
    raw(&server, b"GET /healthz HTTP/1.1\r\nhost: x\r\n").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_is_answered_408() {
    let mut setup = Setup::default();
    setup.server.body_timeout = Span(100);
    let server = Server::in_memory(setup).await;
    let head =
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 50\r\n\r\n{";
    let answer = raw(&server, head).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("request_timeout"), "{answer}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_lane_is_answered_503_while_health_answers() {
    let mut setup = Setup::default();
    setup.server.ingest_concurrency_max = 1;
    let server = Server::in_memory(setup).await;
    // A request whose body does not come holds the only place.
    let mut holder = TcpStream::connect(server.address()).await.unwrap();
    let head = b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n";
    holder.write_all(head).await.unwrap();
    let mut client = server.client().await;
    let event = json!({"event_type": "click", "user_id": "a", "item_id": "i"});
    let shed = loop {
        // Until the holder's head has been read, there is still a place.
        let reply = client.post("/v1/events", &event).await;
        if reply.status != StatusCode::OK {
            break reply;
        }
    };
    assert_eq!(
        (shed.status, shed.code().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    );
    let after: u64 = shed.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=3).contains(&after));
    client.post("/v1/recommendations", &json!({})).await.ok();
    client.get("/healthz").await.ok();
    client.get("/metrics").await;
    drop(holder);
    loop {
        let reply = client.post("/v1/events", &event).await;
        if reply.status == StatusCode::OK {
            break;
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_batches_have_a_largest_size() {
    let mut setup = Setup::default();
    setup.engine.limits.body_bytes_max = ByteSize(10_000);
    setup.engine.limits.batch_events_max = 3;
    let server = Server::in_memory(setup).await;
    let mut client = server.client().await;
    let event = json!({"event_type": "click", "user_id": "a", "item_id": "i"});
    let ok = client
        .post("/v1/events", &json!([event, event, event]))
        .await;
    assert_eq!(ok.status, StatusCode::OK);
    for body in [
        json!([event, event, event, event]),
        json!("x".repeat(20_000)),
    ] {
        let reply = client.post("/v1/events", &body).await;
        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(reply.code(), "payload_too_large");
    }
    let items = json!([{"item_id": "a"}, {"item_id": "b"}, {"item_id": "c"}, {"item_id": "d"}]);
    let reply = client.post("/v1/items", &items).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_on_the_wire_harms_nobody() {
    let server = Server::new().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\nzz\r\n",
        b"GET /%%%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let answer = raw(&server, bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let mut huge = b"GET / HTTP/1.1\r\nhost: x\r\n".to_vec();
    huge.extend_from_slice(format!("a: {}\r\n\r\n", "x".repeat(64 << 10)).as_bytes());
    let answer = raw(&server, &huge).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
        "{answer}"
    );
    server.client().await.get("/healthz").await.ok();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_made_or_taken_over_and_always_returned() {
    let server = Server::new().await;
    let mut client = server.client().await;
    let made = client.get("/healthz").await.headers["x-request-id"].clone();
    let other = client.get("/healthz").await.headers["x-request-id"].clone();
    assert_ne!(made, other);
    for (given, is_taken) in [("mine-1", true), (&"x".repeat(200), false)] {
        let headers = [("x-request-id", given)];
        let reply = client.send(Method::GET, "/v1/trending", &headers, "").await;
        assert_eq!(reply.headers["x-request-id"] == given, is_taken);
        assert_eq!(reply.json()["request_id"] == given, is_taken);
    }
    server.stop().await;
}
