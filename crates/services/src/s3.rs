//! An S3-compatible object store: moto's server, in memory, with an atomic put-if-absent.
//!
//! Any credentials are accepted: signatures are not checked.

use crate::error::Result;
use crate::fetch::python;
use crate::home::Home;
use crate::http;
use crate::ports::{Port, retry_on_clash};
use crate::process::Launch;
use crate::server::Server;
use crate::service::{Endpoint, Service};
use crate::versions::MOTO;
use std::net::SocketAddr;

/// A private object store; dropping it stops it.
#[derive(Debug)]
pub struct S3 {
    server: Server,
    _home: Home,
}

impl S3 {
    /// The region its buckets are in.
    pub const REGION: &'static str = "us-east-1";

    /// Starts a store without buckets and waits until it answers.
    ///
    /// # Errors
    /// When moto cannot be fetched or does not start.
    pub fn start() -> Result<Self> {
        Self::start_in(Home::private("s3")?)
    }

    pub(crate) fn start_in(home: Home) -> Result<Self> {
        let environment = Self::fetch()?;
        let server = retry_on_clash(|| {
            home.clear()?;
            let port = Port::reserve()?;
            let number = port.number().to_string();
            let launch = Launch::new("s3", environment.join("bin/python"), home.path()).args([
                "-m",
                "moto.server",
                "-H",
                "127.0.0.1",
                "-p",
                &number,
            ]);
            let server = Server::start(launch, port, is_ready)?;
            server.wait_ready()?;
            Ok(server)
        })?;
        Ok(Self {
            server,
            _home: home,
        })
    }

    pub(crate) fn fetch() -> Result<std::path::PathBuf> {
        python::environment(
            &format!("moto-{MOTO}"),
            &format!("moto {MOTO}, an S3 server in Python"),
            &[&format!("moto[server]=={MOTO}")],
        )
    }

    /// The server, to kill, freeze, thaw or restart it. Restarted it is empty.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The endpoint's URL, for path-style requests.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Creates a bucket.
    ///
    /// # Errors
    /// When the server is away or refuses.
    pub fn create_bucket(&self, name: &str) -> Result<()> {
        let address = self.server.address();
        http::send(address, "PUT", &format!("/{name}"), None)?
            .ok(self.url())
            .map(drop)
    }
}

fn is_ready(address: SocketAddr) -> Result<()> {
    http::send(address, "GET", "/", None)?.ok(address).map(drop)
}

impl Service for S3 {
    fn endpoints(&self) -> Vec<Endpoint> {
        vec![
            Endpoint::new("NOWCAST_S3", self.url()),
            Endpoint::new("NOWCAST_S3_REGION", Self::REGION),
        ]
    }

    fn servers(&self) -> Vec<&Server> {
        vec![&self.server]
    }
}
