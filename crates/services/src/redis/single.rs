//! One Redis server.

use super::start_server;
use crate::error::Result;
use crate::home::Home;
use crate::ports::{Port, retry_on_clash};
use crate::server::Server;
use crate::service::{Endpoint, Service};
use std::net::SocketAddr;

/// A private Redis server; dropping it stops it and removes its data.
///
/// It persists nothing by default: killed and restarted it is empty. Start it with
/// `[("appendonly", "yes")]` to keep data over a kill.
#[derive(Debug)]
pub struct Redis {
    server: Server,
    _home: Home,
}

impl Redis {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// When Redis cannot be installed or does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// As [`Redis::start`], with more lines of `redis.conf`, each as name and value.
    ///
    /// # Errors
    /// As [`Redis::start`]; also when Redis refuses a setting.
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_in(Home::private("redis")?, settings)
    }

    pub(crate) fn start_in(home: Home, settings: &[(&str, &str)]) -> Result<Self> {
        let server = retry_on_clash(|| {
            home.clear()?;
            let server = start_server(home.path(), "redis", Port::reserve()?, settings)?;
            server.wait_ready()?;
            Ok(server)
        })?;
        Ok(Self {
            server,
            _home: home,
        })
    }

    /// The server, to kill, freeze, thaw or restart it.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// `redis://host:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }
}

impl Service for Redis {
    fn endpoints(&self) -> Vec<Endpoint> {
        vec![Endpoint::new("NOWCAST_REDIS", self.url())]
    }

    fn servers(&self) -> Vec<&Server> {
        vec![&self.server]
    }
}
