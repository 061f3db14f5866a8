//! The registry in use: its state, its log, and the order between them.

use super::{Registry, RegistryChange, RegistryLog, RegistryRefusal};
use crate::error::SchemaError;
use crate::schema_type::SchemaText;
use crate::source::{BoxFuture, SchemaSource};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;

/// How often a write is planned anew because another process was faster. Each time the other one
/// got a change in, so only an endless stream of other registrations can use this up.
const PLANS_MAX: usize = 256;

/// How far the state reflects the log.
#[derive(Default)]
struct Progress {
    /// The place to read on from.
    end: u64,
    /// How many changes have had an effect.
    revision: u64,
}

/// A registry that many tasks share. Changes are durable before they are seen.
pub struct RegistryService {
    state: RwLock<Registry>,
    log: Arc<dyn RegistryLog>,
    /// Held from a plan to its application.
    progress: Mutex<Progress>,
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
            progress: Mutex::default(),
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
        let mut progress = self.progress.lock();
        self.catch_up(&mut progress, |_, _| ())?;
        Ok(progress.end)
    }

    /// Applies what the log has beyond `progress`; tells `effect` the revision that each change
    /// with an effect was planned on, and its bytes.
    fn catch_up(
        &self,
        progress: &mut Progress,
        mut effect: impl FnMut(u64, &[u8]),
    ) -> Result<(), SchemaError> {
        let end = self.log.read(progress.end, &mut |stored| {
            if stored.planned_on == progress.revision {
                let change = RegistryChange::decode(stored.bytes);
                let applied = change.and_then(|change| self.state.write().apply(&change));
                applied.map_err(|reason| SchemaError::BadChange {
                    place: stored.place,
                    reason,
                })?;
                effect(stored.planned_on, stored.bytes);
                progress.revision += 1;
            }
            progress.end = stored.place + 1;
            Ok(())
        })?;
        progress.end = end;
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
        let mut progress = self.progress.lock();
        for _ in 0..PLANS_MAX {
            self.catch_up(&mut progress, |_, _| ()).map_err(store)?;
            let (answer, change) = plan(&self.state.read())?;
            let Some(change) = change else {
                return Ok(answer);
            };
            let (bytes, planned_on) = (change.encode(), progress.revision);
            self.log.append(planned_on, &bytes).map_err(store)?;
            // The same bytes on the same revision are the same change, whoever wrote them.
            let mut has_effect = false;
            let look = |revision, stored: &[u8]| {
                has_effect |= revision == planned_on && stored == bytes;
            };
            self.catch_up(&mut progress, look).map_err(store)?;
            if has_effect {
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
