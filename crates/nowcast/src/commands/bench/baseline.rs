//! The yardstick of ingest: axum handlers that parse the same bodies and do nothing else.
//!
//! Two of them. `owned` is what a service begins with: the `Json` extractor and an event of owned
//! fields, all that the API knows. `borrowed` is the least that parsing can cost: the fields the
//! generator writes, borrowed from the body.

use anyhow::Context;
use axum::body::Bytes;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Path of the handler of owned events.
pub const OWNED_PATH: &str = "/owned";
/// Path of the handler of borrowed events.
pub const BORROWED_PATH: &str = "/borrowed";
/// Prefix of the names of its threads.
pub const THREAD_NAME: &str = "baseline";
/// Longest body, in bytes.
const BODY_BYTES_MAX: usize = 8 << 20;

/// An event as the API knows it.
#[derive(Deserialize)]
struct OwnedEvent {
    event_id: Option<String>,
    event_type: String,
    user_id: Option<String>,
    session_id: Option<String>,
    item_id: Option<String>,
    timestamp: Option<i64>,
    value: Option<f64>,
    slot: Option<String>,
    request_id: Option<String>,
    device_type: Option<String>,
    location: Option<String>,
    properties: Option<Map<String, Value>>,
    schema_version: Option<u32>,
}

/// The fields that the generator writes, borrowed from the body.
#[derive(Deserialize)]
struct BorrowedEvent<'a> {
    event_id: &'a str,
    event_type: &'a str,
    user_id: &'a str,
    session_id: &'a str,
    item_id: &'a str,
    timestamp: i64,
    value: Option<f64>,
}

/// A running bare server.
pub struct Baseline {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Baseline {
    /// Starts it on a free port, on threads named [`THREAD_NAME`].
    ///
    /// # Errors
    /// When no port is free.
    pub fn start() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(THREAD_NAME)
            .enable_all()
            .build()
            .context("cannot start the baseline's runtime")?;
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", 0)))
            .context("cannot listen for the baseline")?;
        let address = listener
            .local_addr()
            .context("the baseline has no address")?;
        let app = Router::new()
            .route(OWNED_PATH, post(parse_owned))
            .route(BORROWED_PATH, post(parse_borrowed))
            .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Ok(Self {
            address,
            _runtime: runtime,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

// Something must be made of every field, or the compiler may skip reading it.

async fn parse_owned(Json(events): Json<Vec<OwnedEvent>>) -> Json<Value> {
    let len = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let touched = events.iter().fold(0_usize, |sum, event| {
        sum + len(&event.event_id)
            + event.event_type.len()
            + len(&event.user_id)
            + len(&event.session_id)
            + len(&event.item_id)
            + usize::from(event.timestamp.is_some())
            + usize::from(event.value.is_some())
            + len(&event.slot)
            + len(&event.request_id)
            + len(&event.device_type)
            + len(&event.location)
            + event.properties.as_ref().map_or(0, Map::len)
            + usize::from(event.schema_version.is_some())
    });
    Json(json!({ "accepted": events.len(), "touched": touched }))
}

async fn parse_borrowed(body: Bytes) -> Result<Json<Value>, String> {
    let events: Vec<BorrowedEvent<'_>> =
        serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    let touched = events.iter().fold(0_usize, |sum, event| {
        sum + event.event_id.len()
            + event.event_type.len()
            + event.user_id.len()
            + event.session_id.len()
            + event.item_id.len()
            + usize::from(event.timestamp > 0)
            + usize::from(event.value.is_some())
    });
    Ok(Json(
        json!({ "accepted": events.len(), "touched": touched }),
    ))
}
