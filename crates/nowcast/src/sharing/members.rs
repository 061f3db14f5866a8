//! Who is there, for `nowcast status` and for the monitor: each process renews a note about itself.

use crate::roles::Part;
use nowcast_engine::Engine;
use nowcast_store_redis::{RedisStore, RedisStoreError};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a note is renewed.
const BEAT: Duration = Duration::from_secs(2);
/// How long a note stays without that.
const FADES_AFTER: Duration = Duration::from_secs(10);

/// What a process says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Note {
    /// What it does.
    pub roles: Vec<String>,
    /// Where it answers.
    pub address: String,
    /// Its version.
    pub version: String,
    /// When it started, in milliseconds since 1970.
    pub started_ms: i64,
    /// `live`, or what keeps it from that.
    pub state: String,
    /// The partitions that it folds.
    pub partitions: Vec<u16>,
    /// Median time from receipt to being visible, where it takes events in.
    pub freshness_p50_ms: Option<f64>,
    /// The models that it answers with.
    pub models: Vec<String>,
}

/// The note of this process, until stopped.
pub struct Membership {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Membership {
    /// Leaves the first note and keeps renewing it. Redis may be away.
    ///
    /// # Errors
    /// No thread to be had.
    pub fn start(
        redis: &Arc<RedisStore>,
        engine: &Arc<Engine>,
        part: &Part,
        address: SocketAddr,
    ) -> std::io::Result<Self> {
        let started_ms = engine.now().0;
        let id = format!("{address}-{}-{started_ms}", std::process::id());
        let roles: Vec<String> = part.names().into_iter().map(str::to_owned).collect();
        let (redis, engine) = (Arc::clone(redis), Arc::clone(engine));
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("membership".to_owned())
            .spawn(move || {
                loop {
                    let note = note(&engine, &roles, address, started_ms);
                    if let Err(error) = redis.announce(&id, &note, FADES_AFTER) {
                        tracing::debug!(%error, "no word left that this process is here");
                    }
                    if stopped.recv_timeout(BEAT) != Err(RecvTimeoutError::Timeout) {
                        break;
                    }
                }
                if let Err(error) = redis.withdraw(&id) {
                    tracing::debug!(%error, "the word of this process stays until it fades");
                }
            })?;
        Ok(Self { stop, thread })
    }

    /// Takes the note back.
    pub fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the membership thread has panicked");
        }
    }
}

fn note(engine: &Engine, roles: &[String], address: SocketAddr, started_ms: i64) -> String {
    let status = engine.status();
    let holdings = engine.processor().holdings();
    let is_whole = roles.iter().any(|role| role == "all");
    let partitions = if is_whole {
        (0..engine.processor().partitions()).collect()
    } else {
        holdings.iter().map(|held| held.partition.0).collect()
    };
    let models = status.models.iter();
    let note = Note {
        roles: roles.to_vec(),
        address: address.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_ms,
        state: status.state.to_owned(),
        partitions,
        freshness_p50_ms: status.freshness_p50_ms,
        models: models
            .map(|model| format!("{} {}", model.name, model.version))
            .collect(),
    };
    serde_json::to_string(&note).expect("a note is plain data")
}

/// Everyone who has left word, by id. A note of another version that does not read is left out.
///
/// # Errors
/// Redis is away.
pub fn all(redis: &RedisStore) -> Result<Vec<(String, Note)>, RedisStoreError> {
    let notes = redis.announced()?.into_iter();
    Ok(notes
        .filter_map(|(id, note)| Some((id, serde_json::from_str(&note).ok()?)))
        .collect())
}
