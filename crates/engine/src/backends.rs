//! Where an engine's log, state and models live: in its data folder, or wherever its opener says.
//!
//! The engine knows the traits only. Whoever knows a backend by name makes it here, while the
//! engine opens, so that its metrics belong to the engine and it learns the engine's event types.

use crate::config::EngineConfig;
use crate::error::EngineError;
use nowcast_disk::Fs;
use nowcast_log::{EmbeddedLog, EventLog};
use nowcast_store::{ArtifactPlace, CheckpointStore, StateStore};
use nowcast_stream::{Duty, Epochs};
use nowcast_types::EventTypes;
use std::path::Path;
use std::sync::Arc;

/// Folders inside the data folder.
pub(crate) const LOG_DIR: &str = "log";
const CHECKPOINTS_DIR: &str = "checkpoints";

/// What a backend may need of the engine that opens it.
#[derive(Clone, Copy)]
pub struct Opening<'a> {
    /// The engine's settings.
    pub config: &'a EngineConfig,
    /// Its data folder.
    pub data_dir: &'a Path,
    /// The file system it is on.
    pub fs: &'a Arc<dyn Fs>,
    /// Its event types.
    pub types: &'a Arc<EventTypes>,
}

/// A log, a store, and which of their owners this engine is.
pub struct Opened {
    /// Where records become durable. It has as many partitions as the settings say.
    pub log: Arc<dyn EventLog>,
    /// Where state becomes durable.
    pub store: Arc<dyn StateStore>,
    /// Which partitions are folded here, and as which owner of them.
    pub duty: Duty,
}

/// Makes the log and the store of an engine, and the place of its models.
pub trait Backends: Send + Sync {
    /// Opens log and store. Called once for each engine; it may block.
    ///
    /// # Errors
    /// [`EngineError::Backend`]; those of the embedded ones.
    fn open(&self, opening: &Opening<'_>) -> Result<Opened, EngineError>;

    /// Opens the place of the models; `None` is the folder beside the key. Called once for each
    /// engine.
    ///
    /// # Errors
    /// [`EngineError::Backend`].
    fn artifacts(
        &self,
        _opening: &Opening<'_>,
    ) -> Result<Option<Arc<dyn ArtifactPlace>>, EngineError> {
        Ok(None)
    }
}

/// Log and store in the data folder. Its lock keeps a second owner away, so epochs do not matter.
#[derive(Debug, Clone, Copy, Default)]
pub struct Embedded;

impl Embedded {
    /// The log in the data folder.
    ///
    /// # Errors
    /// A folder that is damaged or in use.
    pub fn log(opening: &Opening<'_>) -> Result<Arc<dyn EventLog>, EngineError> {
        let log = EmbeddedLog::open(
            Arc::clone(opening.fs),
            &opening.data_dir.join(LOG_DIR),
            opening.config.log.clone(),
            opening.config.events.partitions,
        )?;
        Ok(Arc::new(log))
    }

    /// The checkpoints in the data folder.
    ///
    /// # Errors
    /// A folder that is damaged or in use.
    pub fn store(opening: &Opening<'_>) -> Result<Arc<dyn StateStore>, EngineError> {
        let store = CheckpointStore::open(
            Arc::clone(opening.fs),
            &opening.data_dir.join(CHECKPOINTS_DIR),
            opening.config.checkpoints.clone(),
        )?;
        Ok(Arc::new(store))
    }
}

impl Backends for Embedded {
    fn open(&self, opening: &Opening<'_>) -> Result<Opened, EngineError> {
        Ok(Opened {
            log: Self::log(opening)?,
            store: Self::store(opening)?,
            duty: Duty::All(Epochs::default()),
        })
    }
}
