//! A router on a port of its own, for as long as the value lives.

use axum::Router;
use nowcast_schemas::registry::MemoryRegistryLog;
use nowcast_schemas::{RegistryService, http};
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) runtime: tokio::runtime::Runtime,
}

impl Running {
    pub(crate) fn router(router: Router) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, runtime }
    }

    /// The built-in registry, empty.
    pub(crate) fn registry() -> (Self, Arc<RegistryService>) {
        let log = Arc::new(MemoryRegistryLog::default());
        let service = Arc::new(RegistryService::open(log).unwrap());
        (Self::router(http::router(&service)), service)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
