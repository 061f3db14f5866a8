//! The store: a connection, its settings, and a thread that does the talking for callers that block.

use crate::config::RedisConfig;
use crate::error::RedisStoreError;
use crate::keys::Keys;
use crate::link::{Link, SharedLink};
use crate::script::Scripts;
use metrics::{Counter, Histogram};
use nowcast_store::{
    ChainId, Commit, Content, Epoch, Loaded, Saved, StateStore, StoreError, Verdict,
};
use nowcast_types::{ErrorKind, Offset};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// Longest pause between tries of a load.
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(500);

/// States of partitions on Redis. Share it by `Arc`.
pub struct RedisStore {
    pub(crate) inner: Arc<Inner>,
    runtime: Option<Runtime>,
}

/// What calls need, whoever runs them.
pub(crate) struct Inner {
    pub(crate) config: RedisConfig,
    pub(crate) link: SharedLink,
    pub(crate) scripts: Scripts,
    /// Tells this store's commits from those of others, and from its own in an earlier life.
    pub(crate) instance: String,
    /// Chains of which Redis lost everything while we had an owner.
    pub(crate) lost: Mutex<BTreeSet<ChainId>>,
    pub(crate) read_round_trips: Counter,
    pub(crate) read_seconds: Histogram,
    pub(crate) read_damaged: Counter,
    pub(crate) round_trip_seconds: Histogram,
}

impl Inner {
    pub(crate) fn keys(&self, chain: ChainId) -> Keys {
        Keys::new(&self.config.namespace, chain)
    }

    pub(crate) fn user_ttl(&self) -> Option<Duration> {
        Some(self.config.user_ttl.duration()).filter(|ttl| !ttl.is_zero())
    }
}

impl RedisStore {
    /// Reads the settings and starts the thread. Connects on the first call, so that a process can
    /// start while Redis is away.
    ///
    /// # Errors
    /// [`RedisStoreError::Config`]; no thread to be had.
    pub fn open(config: RedisConfig) -> Result<Self, RedisStoreError> {
        config.check().map_err(RedisStoreError::Config)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("redis")
            .enable_all()
            .build()?;
        let inner = Inner {
            link: Arc::new(Link::new(&config)?),
            config,
            scripts: Scripts::new(),
            instance: instance()?,
            lost: Mutex::default(),
            read_round_trips: metrics::counter!("nowcast_store_read_round_trips_total"),
            read_seconds: metrics::histogram!("nowcast_store_read_seconds"),
            read_damaged: metrics::counter!("nowcast_store_read_damaged_total"),
            round_trip_seconds: metrics::histogram!("nowcast_store_commit_seconds"),
        };
        Ok(Self {
            inner: Arc::new(inner),
            runtime: Some(runtime),
        })
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("taken only by drop")
    }

    /// Waits for a call. Must not be called from within an asynchronous task.
    fn wait<T>(
        &self,
        call: impl Future<Output = Result<T, RedisStoreError>>,
    ) -> Result<T, StoreError> {
        self.runtime().block_on(call).map_err(StoreError::from)
    }

    /// Tries a call again while Redis is away, up to the load timeout.
    fn insist<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, RedisStoreError>>,
    {
        let deadline = Instant::now() + self.inner.config.load_timeout.duration();
        let mut pause = Duration::from_millis(10);
        loop {
            match self.runtime().block_on(call()) {
                Err(error)
                    if error.kind() == ErrorKind::Unavailable
                        && Instant::now() + pause < deadline =>
                {
                    tracing::warn!(%error, "redis is away: trying again");
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(RETRY_PAUSE_MAX);
                }
                outcome => return outcome.map_err(StoreError::from),
            }
        }
    }
}

/// 64 random bits as text.
fn instance() -> Result<String, RedisStoreError> {
    let mut bits = [0; 8];
    getrandom::fill(&mut bits).map_err(|error| RedisStoreError::Config(error.to_string()))?;
    Ok(format!("{:016x}", u64::from_le_bytes(bits)))
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        // Blocking in a drop would panic inside an asynchronous task.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl StateStore for RedisStore {
    fn claim(&self, chain: ChainId, epoch: Epoch) -> Result<(), StoreError> {
        self.insist(|| self.inner.claim(chain, epoch))
    }

    fn load(
        &self,
        chain: ChainId,
        epoch: Epoch,
        judge: &mut dyn FnMut(Saved) -> Verdict,
    ) -> Result<Loaded, StoreError> {
        let saved = self.insist(|| self.inner.load(chain, epoch))?;
        self.inner.lost.lock().remove(&chain);
        let Some(saved) = saved else {
            return Ok(Loaded {
                position: None,
                damage: Vec::new(),
            });
        };
        let position = saved.position;
        let damage = match judge(saved) {
            Verdict::Accept => {
                return Ok(Loaded {
                    position: Some(position),
                    damage: Vec::new(),
                });
            }
            Verdict::Unfit(detail) => vec![nowcast_store::Damage::of_state(detail)],
            Verdict::Discard => Vec::new(),
        };
        // There is only this one state: the owner begins anew, from the log.
        self.insist(|| self.inner.clear(chain, epoch))?;
        Ok(Loaded {
            position: None,
            damage,
        })
    }

    fn commit(&self, chain: ChainId, commit: &Commit<'_>) -> Result<(), StoreError> {
        let started = Instant::now();
        let outcome = self.wait(self.inner.commit(chain, commit));
        let seconds = started.elapsed().as_secs_f64();
        self.inner.round_trip_seconds.record(seconds);
        match (&outcome, commit.content) {
            (Err(StoreError::Stale { stored: None, .. }), Content::Delta(_))
                if commit.follows.is_some() =>
            {
                self.inner.lost.lock().insert(chain);
            }
            (Ok(()), Content::Full(_)) => {
                self.inner.lost.lock().remove(&chain);
            }
            _ => {}
        }
        outcome
    }

    fn look(&self, chain: ChainId, committed: Offset) -> Result<(), StoreError> {
        let stored = self.wait(self.inner.head(chain))?.position;
        match stored {
            Some(stored) if stored == committed => Ok(()),
            // Everything is gone: the next commit writes all.
            None => {
                self.inner.lost.lock().insert(chain);
                Ok(())
            }
            Some(_) => Err(StoreError::Stale {
                chain,
                follows: Some(committed),
                position: committed,
                stored,
            }),
        }
    }

    fn needs_full(&self, chain: ChainId) -> bool {
        self.inner.lost.lock().contains(&chain)
    }

    fn backlog_bytes_max(&self) -> Option<u64> {
        Some(self.inner.config.backlog_bytes_max.bytes())
    }

    fn is_read_elsewhere(&self) -> bool {
        true
    }

    fn appends_dedup(&self) -> bool {
        true
    }
}
