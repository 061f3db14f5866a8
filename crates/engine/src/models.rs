//! The stored models that are in use, loaded and translated into the catalogue's numbers.
//!
//! A store that is away changes nothing that is in use. What is in use follows the aliases: at
//! once where this process publishes, else at the next look of a thread of its own, because a look
//! may wait for a remote store.

use crate::background::StopSignal;
use crate::error::EngineError;
use arc_swap::ArcSwap;
use nowcast_recommend::{LoadedModel, ModelSet};
use nowcast_store::artifact::LIVE;
use nowcast_store::{ArtifactStore, Catalog, StoreError};
use nowcast_types::ErrorKind;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The live models of an artifact store, and how they come into use.
pub struct LiveModels {
    artifacts: Arc<ArtifactStore>,
    catalog: Arc<Catalog>,
    in_use: Arc<ArcSwap<ModelSet>>,
    /// Held while a set is made, so that an older one never takes the place of a newer one.
    reloading: Mutex<()>,
}

/// What became of one model.
enum Reloaded {
    /// It serves.
    Serves(LoadedModel),
    /// There is nothing of it to serve.
    Nothing,
    /// It could not be read now; what was in use of it, if anything, goes on serving.
    Kept(Option<LoadedModel>),
}

impl LiveModels {
    /// Loads the live models. One that cannot be loaded is left out, loudly: the other models and
    /// the live counters serve on.
    #[must_use]
    pub fn load(artifacts: &Arc<ArtifactStore>, catalog: &Arc<Catalog>) -> Self {
        let live = Self {
            artifacts: Arc::clone(artifacts),
            catalog: Arc::clone(catalog),
            in_use: Arc::new(ArcSwap::from_pointee(ModelSet::default())),
            reloading: Mutex::new(()),
        };
        live.reload();
        live
    }

    /// The models in use.
    #[must_use]
    pub const fn in_use(&self) -> &Arc<ArcSwap<ModelSet>> {
        &self.in_use
    }

    /// Puts the live version of every stored model into use, reading those that are not yet.
    /// Damaged ones are left out. Says whether all could be looked at.
    pub fn reload(&self) -> bool {
        let _reloading = self.reloading.lock();
        let names = match self.artifacts.names() {
            Ok(names) => names,
            Err(error) => {
                tracing::error!(%error, "the stored models cannot be listed");
                return false;
            }
        };
        let before = self.in_use.load();
        let mut is_complete = true;
        let mut models = Vec::with_capacity(names.len());
        for name in &names {
            match self.reload_one(name, before.get(name)) {
                Reloaded::Serves(loaded) => models.push(loaded),
                Reloaded::Nothing => {}
                Reloaded::Kept(loaded) => {
                    is_complete = false;
                    models.extend(loaded);
                }
            }
        }
        self.in_use.store(Arc::new(ModelSet::new(models)));
        is_complete
    }

    fn reload_one(&self, name: &str, before: Option<&LoadedModel>) -> Reloaded {
        let failed = |error: StoreError| {
            if error.kind() == ErrorKind::Corrupt {
                tracing::error!(model = %name, %error, "model left out");
                return Reloaded::Nothing;
            }
            tracing::warn!(model = %name, %error, "model not read, what is in use stays");
            Reloaded::Kept(before.cloned())
        };
        let version = match self.artifacts.alias(name, LIVE) {
            Ok(Some(version)) => version,
            Ok(None) => return Reloaded::Nothing,
            Err(error) => return failed(error),
        };
        let shown = version.to_string();
        // Versions never change.
        if let Some(loaded) = before.filter(|loaded| loaded.version() == shown) {
            return Reloaded::Serves(loaded.clone());
        }
        let bytes = match self.artifacts.get(name, version) {
            Ok(bytes) => bytes,
            Err(error) => return failed(error),
        };
        match nowcast_models::decode(&bytes) {
            Ok(model) => Reloaded::Serves(LoadedModel::new(Arc::from(model), shown, &self.catalog)),
            Err(error) => {
                tracing::error!(model = %name, %error, "model left out");
                Reloaded::Nothing
            }
        }
    }

    /// Name and version of every live model.
    fn live_versions(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let mut live = Vec::new();
        for name in self.artifacts.names()? {
            match self.artifacts.alias(&name, LIVE) {
                Ok(Some(version)) => live.push((name, version)),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => {}
                Err(error) => return Err(error),
            }
        }
        Ok(live)
    }

    fn is_in_use(&self, (name, version): &(String, u64)) -> bool {
        let in_use = self.in_use.load();
        let loaded = in_use.get(name);
        loaded.is_some_and(|loaded| loaded.version() == version.to_string())
    }
}

/// Notices models that other processes publish.
struct Look {
    models: Arc<LiveModels>,
    /// What was live when it was last put into use; nothing before the first look.
    seen: Vec<(String, u64)>,
    /// Whether the last look failed: only the first failure of a row is worth a warning.
    is_blind: bool,
}

impl Look {
    fn look(&mut self) {
        let live = match self.models.live_versions() {
            Ok(live) => live,
            Err(error) => {
                if !std::mem::replace(&mut self.is_blind, true) {
                    tracing::warn!(%error, "published models cannot be looked for");
                }
                return;
            }
        };
        if std::mem::replace(&mut self.is_blind, false) {
            tracing::info!("published models can be looked for again");
        }
        if self.seen == live {
            return;
        }
        let is_done = if live.iter().all(|version| self.models.is_in_use(version)) {
            true
        } else {
            tracing::info!("another process has published models");
            self.models.reload()
        };
        if is_done {
            self.seen = live;
        }
    }
}

/// A thread that looks for models of other processes.
pub struct ModelWatch {
    stop: Arc<StopSignal>,
    thread: Mutex<Option<(JoinHandle<()>, Receiver<()>)>>,
}

/// How long an end waits for a look that is under way. A store that is away may take longer, and
/// nothing is lost with the look.
const END_WAIT: Duration = Duration::from_secs(2);

impl ModelWatch {
    /// Starts it; it looks for the first time after `interval`.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn start(models: &Arc<LiveModels>, interval: Duration) -> Result<Self, EngineError> {
        let stop = Arc::new(StopSignal::default());
        let stopped = Arc::clone(&stop);
        let mut look = Look {
            models: Arc::clone(models),
            seen: Vec::new(),
            is_blind: false,
        };
        let (ended, has_ended) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("models".to_owned())
            .spawn(move || {
                // Dropped at the end, however it comes.
                let _ended = ended;
                while !stopped.sleep_until(Instant::now() + interval) {
                    look.look();
                }
            })
            .map_err(|error| EngineError::Unavailable(format!("no thread: {error}")))?;
        Ok(Self {
            stop,
            thread: Mutex::new(Some((thread, has_ended))),
        })
    }

    /// Ends the thread; one that waits for a store is left to end by itself.
    pub fn stop(&self) {
        self.stop.set();
        let Some((thread, has_ended)) = self.thread.lock().take() else {
            return;
        };
        if has_ended.recv_timeout(END_WAIT) == Err(RecvTimeoutError::Timeout) {
            tracing::info!("a look for published models is still waiting for the store");
        } else if thread.join().is_err() {
            tracing::error!("the thread that looks for models has panicked");
        }
    }
}
