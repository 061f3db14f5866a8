//! The built-in registry of an engine, with the thread that takes in what other processes write.

use crate::registry_log::EventRegistryLog;
use nowcast_engine::{Engine, SystemClock};
use nowcast_log::EventLog;
use nowcast_schemas::{RegistryService, SchemaError};
use nowcast_types::{PartitionId, Stream};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long the thread waits for news before it looks whether it should stop.
const STEP: Duration = Duration::from_millis(100);
/// How long it rests when the log cannot be read.
const REST: Duration = Duration::from_secs(1);

/// A registry in the engine's log; stops its thread when dropped.
pub struct BuiltInRegistry {
    service: Arc<RegistryService>,
    is_stopping: Arc<AtomicBool>,
    follower: Mutex<Option<JoinHandle<()>>>,
}

impl BuiltInRegistry {
    /// Reads the registry from the engine's log and follows it.
    ///
    /// # Errors
    /// When the log cannot be read or holds what is no change of a registry.
    pub fn open(engine: &Engine) -> Result<Self, SchemaError> {
        let log = Arc::clone(engine.log());
        let changes = EventRegistryLog::new(Arc::clone(&log), Arc::new(SystemClock));
        let service = Arc::new(RegistryService::open(Arc::new(changes))?);
        let is_stopping = Arc::new(AtomicBool::new(false));
        let (shared, stop) = (Arc::clone(&service), Arc::clone(&is_stopping));
        let follower = std::thread::Builder::new()
            .name("registry".to_owned())
            .spawn(move || follow(&shared, &*log, &stop))
            .map_err(|error| SchemaError::LogUnavailable(error.to_string()))?;
        Ok(Self {
            service,
            is_stopping,
            follower: Mutex::new(Some(follower)),
        })
    }

    /// The registry.
    #[must_use]
    pub const fn service(&self) -> &Arc<RegistryService> {
        &self.service
    }

    /// Stops following the log.
    pub fn close(&self) {
        self.is_stopping.store(true, Ordering::Release);
        let follower = self.follower.lock().take();
        if let Some(follower) = follower
            && follower.join().is_err()
        {
            tracing::error!("the thread of the registry panicked");
        }
    }
}

impl Drop for BuiltInRegistry {
    fn drop(&mut self) {
        self.close();
    }
}

fn follow(service: &RegistryService, log: &dyn EventLog, is_stopping: &AtomicBool) {
    let mut end = 0;
    while !is_stopping.load(Ordering::Acquire) {
        if !log.wait_beyond(Stream::Schemas, PartitionId(0), end, STEP) {
            continue;
        }
        match service.refresh() {
            Ok(reached) => end = reached,
            Err(error) => {
                tracing::warn!(%error, "the schema registry does not follow its log");
                std::thread::park_timeout(REST);
            }
        }
    }
}
