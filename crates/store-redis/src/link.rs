//! Connections: one server, a cluster, or whoever the sentinels call the master.
//!
//! Each reconnects by itself and gives up on an answer after the response timeout. One multiplexed
//! connection per server is shared by all callers.

use crate::config::RedisConfig;
use crate::error::RedisStoreError;
use crate::url::Target;
use redis::aio::{
    ConnectionLike, ConnectionManager, ConnectionManagerConfig, MultiplexedConnection,
};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisFuture, Value};
use redis::{RedisResult, TlsMode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};

/// How to get a connection.
pub(crate) struct Link {
    kind: Kind,
    address: String,
    connect_timeout: Duration,
    response_timeout: Duration,
}

enum Kind {
    Single(Box<redis::Client>, OnceCell<ConnectionManager>),
    Cluster(Box<ClusterClient>, Mutex<Option<ClusterConnection>>),
    Sentinel(Box<Mutex<Watched>>),
}

struct Watched {
    client: SentinelClient,
    master: Option<MultiplexedConnection>,
}

/// A connection of any kind.
#[derive(Clone)]
pub(crate) enum Wire {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
    Master(MultiplexedConnection),
}

impl Link {
    /// Reads the URL; connects to nothing.
    pub(crate) fn new(config: &RedisConfig) -> Result<Self, RedisStoreError> {
        let target = Target::parse(&config.url)?;
        let address = target.address();
        // Several providers may be compiled in; which one this process uses is said once.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let connect_timeout = config.connect_timeout.duration();
        let response_timeout = config.response_timeout.duration();
        let kind = kind(target, connect_timeout, response_timeout)
            .map_err(|error| RedisStoreError::of(&address, error))?;
        Ok(Self {
            kind,
            address,
            connect_timeout,
            response_timeout,
        })
    }

    pub(crate) fn fail(&self, error: redis::RedisError) -> RedisStoreError {
        RedisStoreError::of(&self.address, error)
    }

    pub(crate) async fn wire(&self) -> Result<Wire, RedisStoreError> {
        self.connect().await.map_err(|error| self.fail(error))
    }

    async fn connect(&self) -> RedisResult<Wire> {
        match &self.kind {
            Kind::Single(client, manager) => {
                let config = ConnectionManagerConfig::new()
                    .set_connection_timeout(Some(self.connect_timeout))
                    .set_response_timeout(Some(self.response_timeout))
                    .set_number_of_retries(1);
                let make = || async {
                    ConnectionManager::new_lazy_with_config((**client).clone(), config)
                };
                let manager = manager.get_or_try_init(make).await?;
                Ok(Wire::Single(manager.clone()))
            }
            Kind::Cluster(client, connection) => {
                let mut connection = connection.lock().await;
                if let Some(connection) = &*connection {
                    return Ok(Wire::Cluster(connection.clone()));
                }
                let made = client.get_async_connection().await?;
                *connection = Some(made.clone());
                Ok(Wire::Cluster(made))
            }
            Kind::Sentinel(watched) => {
                let mut watched = watched.lock().await;
                if let Some(master) = &watched.master {
                    return Ok(Wire::Master(master.clone()));
                }
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(self.connect_timeout))
                    .set_response_timeout(Some(self.response_timeout));
                let made = watched
                    .client
                    .get_async_connection_with_config(&config)
                    .await?;
                watched.master = Some(made.clone());
                Ok(Wire::Master(made))
            }
        }
    }

    /// Asks anew who the master is, after an answer that it may no longer be the one we talk to.
    pub(crate) async fn doubt(&self) {
        if let Kind::Sentinel(watched) = &self.kind {
            watched.lock().await.master = None;
        }
    }
}

fn kind(target: Target, connect: Duration, response: Duration) -> RedisResult<Kind> {
    Ok(match target {
        Target::Single(url) => Kind::Single(Box::new(redis::Client::open(url)?), OnceCell::new()),
        Target::Cluster(urls) => {
            let client = ClusterClient::builder(urls)
                .connection_timeout(connect)
                .response_timeout(response)
                .retries(4)
                .build()?;
            Kind::Cluster(Box::new(client), Mutex::new(None))
        }
        Target::Sentinel {
            sentinels,
            master,
            db,
            is_tls,
            username,
            password,
        } => {
            let mut info = RedisConnectionInfo::default().set_db(db);
            if let Some(username) = username {
                info = info.set_username(username);
            }
            if let Some(password) = password {
                info = info.set_password(password);
            }
            let mut node = SentinelNodeConnectionInfo::default().set_redis_connection_info(info);
            if is_tls {
                node = node.set_tls_mode(TlsMode::Secure);
            }
            let server = SentinelServerType::Master;
            let client = SentinelClient::build(sentinels, master, Some(node), server)?;
            Kind::Sentinel(Box::new(Mutex::new(Watched {
                client,
                master: None,
            })))
        }
    })
}

impl Wire {
    /// Sends a command without a key to the server that has `key`.
    pub(crate) async fn beside(&mut self, key: &[u8], command: Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(&command).await,
            Self::Master(connection) => connection.req_packed_command(&command).await,
            Self::Cluster(connection) => {
                let route = Route::with_key(key, SlotAddr::Master);
                let node = SingleNodeRoutingInfo::SpecificNode(route);
                connection
                    .route_command(command, RoutingInfo::SingleNode(node))
                    .await
            }
        }
    }
}

impl ConnectionLike for Wire {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
            Self::Master(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Master(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
            Self::Master(connection) => connection.get_db(),
        }
    }
}

/// Shared by all who hold the store.
pub(crate) type SharedLink = Arc<Link>;
