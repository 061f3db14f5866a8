//! Listening: connections in, each with its time limits, and a stop that loses no request.
//!
//! Accepting is done here rather than by the framework's helper, because that one has no limit on
//! the time a client takes over its request head, nor on the number of connections.

use crate::app::App;
use crate::config::ServerConfig;
use crate::routes::{Beside, router};
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use nowcast_engine::Engine;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// Why a server did not start.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The configuration makes no sense, or is not safe.
    #[error("{0}")]
    Config(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
}

impl ServeError {
    /// What the caller can do about it.
    #[must_use]
    pub const fn kind(&self) -> nowcast_types::ErrorKind {
        match self {
            Self::Config(_) => nowcast_types::ErrorKind::InvalidInput,
            Self::Listen { .. } => nowcast_types::ErrorKind::Unavailable,
        }
    }
}

/// A running server.
pub struct ServerHandle {
    app: App,
    local_addr: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl ServerHandle {
    /// The address it listens on, with the real port if 0 was asked for.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops: not ready any more, no new connections, idle ones closed, requests in progress
    /// finished within the drain time. The engine stays open.
    pub async fn shutdown(self) {
        self.app.start_draining();
        self.stop.send_replace(true);
        if let Err(error) = self.accepting.await {
            tracing::error!(%error, "the accept loop ended badly");
        }
    }
}

/// Starts serving `engine`, and what is `beside` it.
///
/// # Errors
/// [`ServeError::Config`], [`ServeError::Listen`].
pub async fn serve(
    engine: Arc<Engine>,
    config: ServerConfig,
    beside: Beside,
) -> Result<ServerHandle, ServeError> {
    config.validate().map_err(ServeError::Config)?;
    let address = config.listen;
    let listen = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let local_addr = listener.local_addr().map_err(listen)?;
    let app = App::new(
        engine,
        config,
        beside.dead_letters.clone(),
        beside.sessions.clone(),
    );
    let service = router(&app, beside);
    let (stop, stopped) = watch::channel(false);
    let accepting = tokio::spawn(accept(listener, service, app.clone(), stopped));
    tracing::info!(%local_addr, "listening");
    Ok(ServerHandle {
        app,
        local_addr,
        stop,
        accepting,
    })
}

/// Bytes that one read of a body takes at most: large bodies come in few pieces.
const READ_BUFFER_BYTES_MAX: usize = 256 << 10;

/// Wait after an accept that failed for want of file descriptors, which only time can cure.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

async fn accept(
    listener: TcpListener,
    service: Router,
    app: App,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(app.config().connections_max));
    let graceful = GracefulShutdown::new();
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(app.config().header_timeout.duration())
        .max_header_size(app.config().head_bytes_max)
        .max_buf_size(READ_BUFFER_BYTES_MAX.max(app.config().head_bytes_max))
        .pipeline_flush(true);
    loop {
        let place = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let connection = connection(&builder, stream, service.clone());
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            // Clients that leave early or speak nonsense are no concern of the log.
            if let Err(error) = watched.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    let drain = app.config().drain_timeout.duration();
    if tokio::time::timeout(drain, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests were cut off after the drain time");
    }
}

fn connection(
    builder: &http1::Builder,
    stream: TcpStream,
    service: Router,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + use<> {
    // Answers are written whole, so there is nothing to gather.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY was refused");
    }
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        service.clone().oneshot(request.map(axum::body::Body::new))
    });
    builder.serve_connection(TokioIo::new(stream), service)
}
