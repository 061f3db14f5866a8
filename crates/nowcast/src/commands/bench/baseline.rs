//! The yardstick of ingest: an axum handler that parses the same bodies and does nothing else.

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use serde::Deserialize;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The fields that the generator writes, borrowed from the body.
#[derive(Deserialize)]
struct BareEvent<'a> {
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
    /// Starts it on a free port, on threads named `baseline`.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("baseline")
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
            .route("/v1/events", post(parse))
            .layer(axum::extract::DefaultBodyLimit::max(8 << 20));
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

async fn parse(body: Bytes) -> Result<String, String> {
    let events: Vec<BareEvent<'_>> =
        serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    // Something must be made of every field, or the compiler may skip reading it.
    let touched = events.iter().fold(0_usize, |sum, event| {
        sum + event.event_id.len()
            + event.event_type.len()
            + event.user_id.len()
            + event.session_id.len()
            + event.item_id.len()
            + usize::from(event.timestamp > 0)
            + usize::from(event.value.is_some())
    });
    Ok(format!(
        "{{\"accepted\":{},\"touched\":{touched}}}",
        events.len()
    ))
}
