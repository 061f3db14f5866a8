//! The store: a few connections, deadlines, and a pause after a failure.

use crate::config::MemcachedConfig;
use crate::connection::Connection;
use crate::error::SessionError;
use metrics::Counter;
use nowcast_types::SessionKey;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use std::io;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What is known of a session.
pub type Attributes = Map<String, Value>;

/// Attributes of sessions. Its calls belong to tasks of a runtime; share it by `Arc`.
pub struct SessionStore {
    config: MemcachedConfig,
    address: String,
    idle: Mutex<Vec<Connection>>,
    /// Until when reads are left out.
    paused_until: Mutex<Option<Instant>>,
    meters: Meters,
}

struct Meters {
    found: Counter,
    absent: Counter,
    failed: Counter,
    paused: Counter,
}

/// What a command does on a connection.
enum Command<'a> {
    Get,
    Set(&'a [u8]),
    Delete,
}

impl SessionStore {
    /// Reads the settings; `None` if they name no server. Connects on the first call.
    ///
    /// # Errors
    /// [`SessionError::Config`].
    pub fn open(config: &MemcachedConfig) -> Result<Option<Self>, SessionError> {
        config.check().map_err(SessionError::Config)?;
        let Some(address) = config.address().map_err(SessionError::Config)? else {
            return Ok(None);
        };
        let reads =
            |outcome| metrics::counter!("nowcast_session_reads_total", "outcome" => outcome);
        Ok(Some(Self {
            address: address.to_owned(),
            config: config.clone(),
            idle: Mutex::default(),
            paused_until: Mutex::default(),
            meters: Meters {
                found: reads("found"),
                absent: reads("absent"),
                failed: reads("failed"),
                paused: reads("paused"),
            },
        }))
    }

    /// What is known of a session; `None` if nothing is. Waits as long as the settings say and at
    /// most `within`.
    ///
    /// # Errors
    /// The server is away, slow, or was so a moment ago; what it has is not ours.
    pub async fn read(
        &self,
        session: SessionKey,
        within: Duration,
    ) -> Result<Option<Attributes>, SessionError> {
        if self.is_paused() {
            self.meters.paused.increment(1);
            return Err(self.unavailable("it failed a moment ago"));
        }
        let limit = within.min(self.config.read_timeout.duration());
        let read = match self.command(session, &Command::Get, limit).await {
            Ok(Some(bytes)) => {
                serde_json::from_slice(&bytes)
                    .map(Some)
                    .map_err(|_| SessionError::Corrupt {
                        address: self.address.clone(),
                    })
            }
            Ok(None) => Ok(None),
            Err(error) => {
                // A caller in a hurry says nothing about the server.
                if limit == self.config.read_timeout.duration() {
                    self.pause(&error);
                }
                Err(error)
            }
        };
        match &read {
            Ok(Some(_)) => self.meters.found.increment(1),
            Ok(None) => self.meters.absent.increment(1),
            Err(_) => self.meters.failed.increment(1),
        }
        read
    }

    /// Replaces what is known of a session, for the time to live of the settings. No attributes
    /// are forgotten ones.
    ///
    /// # Errors
    /// They are too large; the server is away or slow, and then it is unknown what it has.
    pub async fn write(
        &self,
        session: SessionKey,
        attributes: &Attributes,
    ) -> Result<(), SessionError> {
        let json = Value::Object(attributes.clone()).to_string();
        let bytes_max = self.config.attributes_bytes_max.bytes();
        if json.len() as u64 > bytes_max {
            let bytes = json.len();
            return Err(SessionError::TooLarge { bytes, bytes_max });
        }
        let command = if attributes.is_empty() {
            Command::Delete
        } else {
            Command::Set(json.as_bytes())
        };
        let limit = self.config.write_timeout.duration();
        self.command(session, &command, limit).await.map(drop)
    }

    async fn command(
        &self,
        session: SessionKey,
        command: &Command<'_>,
        limit: Duration,
    ) -> Result<Option<Vec<u8>>, SessionError> {
        let key = format!("{}:session:{:016x}", self.config.namespace, session.0);
        match timeout(limit, self.on_a_connection(&key, command)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.unavailable(&error.to_string())),
            Err(_) => {
                let detail = format!("no answer within {} ms", limit.as_millis());
                Err(self.unavailable(&detail))
            }
        }
    }

    async fn on_a_connection(
        &self,
        key: &str,
        command: &Command<'_>,
    ) -> io::Result<Option<Vec<u8>>> {
        // The server may have closed one that nobody used, and all others with it. Every command
        // may be given twice.
        loop {
            let idle = self.idle.lock().pop();
            let is_fresh = idle.is_none();
            let mut connection = match idle {
                Some(connection) => connection,
                None => Connection::open(&self.address).await?,
            };
            let outcome = match command {
                Command::Get => {
                    let bytes_max = self.config.attributes_bytes_max.bytes();
                    connection.get(key, bytes_max).await
                }
                Command::Set(value) => {
                    let ttl_secs = self.config.ttl.ms() / 1_000;
                    connection.set(key, ttl_secs, value).await.map(|()| None)
                }
                Command::Delete => connection.delete(key).await.map(|()| None),
            };
            match outcome {
                Ok(value) => {
                    self.keep(connection);
                    return Ok(value);
                }
                Err(error) if is_fresh || error.kind() == io::ErrorKind::InvalidData => {
                    return Err(error);
                }
                Err(_) => {}
            }
        }
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock();
        if idle.len() < self.config.connections_max {
            idle.push(connection);
        }
    }

    fn is_paused(&self) -> bool {
        let until = *self.paused_until.lock();
        until.is_some_and(|until| Instant::now() < until)
    }

    fn pause(&self, error: &SessionError) {
        tracing::warn!(%error, "requests go on without the attributes of their sessions");
        *self.paused_until.lock() = Some(Instant::now() + self.config.pause.duration());
    }

    fn unavailable(&self, detail: &str) -> SessionError {
        SessionError::Unavailable {
            address: self.address.clone(),
            detail: detail.to_owned(),
        }
    }
}
