//! The registry in use: its state, its log, and the order between them.

use super::{Registry, RegistryChange, RegistryLog, RegistryRefusal};
use crate::error::SchemaError;
use crate::schema_type::SchemaText;
use crate::source::{BoxFuture, SchemaSource};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;

/// A registry that many tasks share. Changes are durable before they are seen.
pub struct RegistryService {
    state: RwLock<Registry>,
    log: Arc<dyn RegistryLog>,
    /// One change at a time, from its plan to its application.
    writer: Mutex<()>,
}

impl RegistryService {
    /// Rebuilds the registry from its log.
    ///
    /// # Errors
    /// The log's; [`SchemaError::BadChange`] if a change makes no sense.
    pub fn open(log: Arc<dyn RegistryLog>) -> Result<Self, SchemaError> {
        let mut state = Registry::default();
        let mut place = 0;
        log.replay(&mut |bytes| {
            let applied = RegistryChange::decode(bytes).and_then(|change| state.apply(&change));
            let applied = applied.map_err(|reason| SchemaError::BadChange { place, reason });
            place += 1;
            applied
        })?;
        Ok(Self {
            state: RwLock::new(state),
            log,
            writer: Mutex::new(()),
        })
    }

    /// Calls `f` with the present state.
    pub fn read<T>(&self, f: impl FnOnce(&Registry) -> T) -> T {
        f(&self.state.read())
    }

    /// Plans a change, makes it durable and applies it. Blocks on the log.
    ///
    /// # Errors
    /// The plan's, and [`RegistryRefusal::Store`] if the log did not take the change.
    pub fn write<T>(
        &self,
        plan: impl FnOnce(&Registry) -> Result<(T, Option<RegistryChange>), RegistryRefusal>,
    ) -> Result<T, RegistryRefusal> {
        let _one_at_a_time = self.writer.lock();
        let (answer, change) = plan(&self.state.read())?;
        let Some(change) = change else {
            return Ok(answer);
        };
        let store = |reason: String| RegistryRefusal::Store(reason);
        let appended = self.log.append(&change.encode());
        appended.map_err(|error| store(error.to_string()))?;
        self.state.write().apply(&change).map_err(store)?;
        Ok(answer)
    }
}

impl SchemaSource for RegistryService {
    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Option<SchemaText>, SchemaError>> {
        let found = self.read(|registry| registry.schema_text(id));
        Box::pin(std::future::ready(Ok(found)))
    }
}
