//! A server of its own for each test, and a client that sends whatever it is told to.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use nowcast_disk::{Fs, SimFs, StdFs};
use nowcast_engine::pseudonym::PseudonymKey;
use nowcast_engine::{Engine, EngineConfig, Surroundings, SystemClock};
use nowcast_server::{Beside, ServerConfig, ServerHandle};
use nowcast_types::{ByteSize, Span};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;

/// What a test may want otherwise.
pub(crate) struct Setup {
    pub(crate) engine: EngineConfig,
    pub(crate) server: ServerConfig,
}

impl Default for Setup {
    fn default() -> Self {
        let mut engine = EngineConfig::default();
        engine.events.partitions = 2;
        engine.log.segment_bytes = ByteSize(1 << 20);
        engine.serving.trending_refresh = Span(20);
        engine.serving.wait_applied_max = Span(10_000);
        // Far above what a debug build takes: a slow machine must not change answers.
        engine.serving.deadline = Span(10_000);
        engine.limits.body_bytes_max = ByteSize(256 << 10);
        engine.limits.batch_events_max = 100;
        let server = ServerConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            api_keys: Vec::new(),
            connections_max: 64,
            ingest_concurrency_max: 64,
            serve_concurrency_max: 64,
            requests_per_second_max: 0,
            header_timeout: Span(10_000),
            body_timeout: Span(10_000),
            request_timeout: Span(30_000),
            drain_timeout: Span(10_000),
            head_bytes_max: 16 << 10,
            closed_lanes: Vec::new(),
        };
        Self { engine, server }
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) engine: Arc<Engine>,
    pub(crate) handle: ServerHandle,
}

impl Server {
    /// In memory: nothing is written to a disk.
    pub(crate) async fn in_memory(setup: Setup) -> Self {
        let fs: Arc<dyn Fs> = Arc::new(SimFs::new(1));
        Self::start(setup, fs, PathBuf::from("data"), Beside::default()).await
    }

    /// In memory, with the usual settings and something beside.
    pub(crate) async fn with(beside: Beside) -> Self {
        let fs: Arc<dyn Fs> = Arc::new(SimFs::new(1));
        Self::start(Setup::default(), fs, PathBuf::from("data"), beside).await
    }

    /// In memory, with the usual settings.
    pub(crate) async fn new() -> Self {
        Self::in_memory(Setup::default()).await
    }

    /// On the real disk, in `folder`.
    pub(crate) async fn on_disk(setup: Setup, folder: &Path) -> Self {
        let fs = Arc::new(StdFs);
        Self::start(setup, fs, folder.to_owned(), Beside::default()).await
    }

    async fn start(setup: Setup, fs: Arc<dyn Fs>, data_dir: PathBuf, beside: Beside) -> Self {
        let around = Surroundings {
            data_dir,
            shared_dir: None,
            fs,
            clock: Arc::new(SystemClock),
            key: Some(PseudonymKey::new(1, [42; 32])),
            backends: Arc::new(nowcast_engine::Embedded),
        };
        let engine = Engine::open_in(setup.engine, around).unwrap();
        let handle = nowcast_server::serve(Arc::clone(&engine), setup.server, beside)
            .await
            .unwrap();
        Self { engine, handle }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.handle.local_addr()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address()).await
    }

    pub(crate) async fn stop(self) {
        self.handle.shutdown().await;
        self.engine.close();
    }
}

/// One connection; a new one if the server has closed it.
pub(crate) struct Client {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error}: {}", String::from_utf8_lossy(&self.body));
        })
    }

    /// The machine-readable code of an error answer, after checking its whole shape.
    pub(crate) fn code(&self) -> String {
        let json = self.json();
        let error = &json["error"];
        assert!(
            error["message"].as_str().is_some_and(|m| !m.is_empty()),
            "{json}"
        );
        assert_eq!(error["docs"], "/docs#errors", "{json}");
        error["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn ok(self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, StatusCode::OK, "{text}");
        self.json()
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { address, sender }
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        if self.sender.ready().await.is_err() {
            *self = Self::connect(self.address).await;
            self.sender.ready().await.unwrap();
        }
        let response = self.sender.send_request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Reply {
        self.json(Method::POST, path, body).await
    }

    pub(crate) async fn json(&mut self, method: Method, path: &str, body: &Value) -> Reply {
        let headers = [("content-type", "application/json")];
        self.send(method, path, &headers, body.to_string()).await
    }
}

/// Item ids of a list, best first.
pub(crate) fn items(answer: &Value) -> Vec<String> {
    let items = answer["items"].as_array().unwrap().iter();
    items
        .map(|item| item["item_id"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until `check` holds; the reason of a failure is the last answer.
pub(crate) async fn eventually(mut check: impl AsyncFnMut() -> Result<(), String>) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        match check().await {
            Ok(()) => return,
            Err(last) if std::time::Instant::now() > deadline => panic!("never came true: {last}"),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    }
}
