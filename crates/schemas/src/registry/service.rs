//! The registry in use: its state, its log, and the order between them.

use super::{Registry, RegistryChange, RegistryLog, RegistryRefusal};
use crate::error::SchemaError;
use crate::schema_type::SchemaText;
use crate::source::{BoxFuture, SchemaSource};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;

/// How often a write is planned anew because another process was faster.
const PLANS_MAX: usize = 64;

/// A registry that many tasks share. Changes are durable before they are seen.
pub struct RegistryService {
    state: RwLock<Registry>,
    log: Arc<dyn RegistryLog>,
    /// The end of the log that the state reflects. Held from a plan to its application.
    end: Mutex<u64>,
}

impl RegistryService {
    /// Rebuilds the registry from its log.
    ///
    /// # Errors
    /// The log's; [`SchemaError::BadChange`] if a change makes no sense.
    pub fn open(log: Arc<dyn RegistryLog>) -> Result<Self, SchemaError> {
        let service = Self {
            state: RwLock::default(),
            log,
            end: Mutex::new(0),
        };
        service.refresh()?;
        Ok(service)
    }

    /// Calls `f` with the present state.
    pub fn read<T>(&self, f: impl FnOnce(&Registry) -> T) -> T {
        f(&self.state.read())
    }

    /// Takes in what other processes have written. Blocks on the log; answers with its end.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn refresh(&self) -> Result<u64, SchemaError> {
        let mut end = self.end.lock();
        self.catch_up(&mut end)?;
        Ok(*end)
    }

    fn catch_up(&self, end: &mut u64) -> Result<(), SchemaError> {
        let read = self.log.read(*end, &mut |place, bytes| {
            let change = RegistryChange::decode(bytes);
            let applied = change.and_then(|change| self.state.write().apply(&change));
            applied.map_err(|reason| SchemaError::BadChange { place, reason })?;
            *end = place + 1;
            Ok(())
        })?;
        *end = read;
        Ok(())
    }

    /// Plans a change on the newest state, makes it durable and applies it; plans again if another
    /// process was faster. Blocks on the log.
    ///
    /// # Errors
    /// The plan's, and [`RegistryRefusal::Store`] if the log did not take the change.
    pub fn write<T>(
        &self,
        plan: impl Fn(&Registry) -> Result<(T, Option<RegistryChange>), RegistryRefusal>,
    ) -> Result<T, RegistryRefusal> {
        let store = |error: SchemaError| RegistryRefusal::Store(error.to_string());
        let mut end = self.end.lock();
        for _ in 0..PLANS_MAX {
            self.catch_up(&mut end).map_err(store)?;
            let (answer, change) = plan(&self.state.read())?;
            let Some(change) = change else {
                return Ok(answer);
            };
            if self.log.append(*end, &change.encode()).map_err(store)? {
                self.catch_up(&mut end).map_err(store)?;
                return Ok(answer);
            }
        }
        let reason = "other processes write all the time; try again";
        Err(RegistryRefusal::Store(reason.to_owned()))
    }
}

impl SchemaSource for RegistryService {
    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Option<SchemaText>, SchemaError>> {
        let found = self.read(|registry| registry.schema_text(id));
        Box::pin(std::future::ready(Ok(found)))
    }
}
