//! Where the registry's changes are kept, in order.

use crate::error::SchemaError;
use parking_lot::Mutex;

/// Takes the place and the bytes of one change; what it fails with ends the reading.
pub type EachChange<'a> = &'a mut dyn FnMut(u64, &[u8]) -> Result<(), SchemaError>;

/// An ordered, durable log of encoded changes that several processes may write to.
///
/// Places are numbers that grow; a log may have places without a change. A change is added for the
/// one place that follows everything its planner knew, so that of two that were planned side by
/// side only the first has an effect. Both methods may block; they are called off the async
/// threads.
pub trait RegistryLog: Send + Sync {
    /// Adds a change at `place`, the end as the caller knows it; durable when it returns. `false`
    /// means that the place was taken, and that the change has no effect.
    ///
    /// # Errors
    /// If the log did not take it; it may be there all the same, which the next reading shows.
    fn append(&self, place: u64, change: &[u8]) -> Result<bool, SchemaError>;

    /// Calls `each` with place and bytes of every change that has an effect, from `from` on, the
    /// oldest first, until it fails; answers with the end.
    ///
    /// # Errors
    /// The log's, or that of `each`.
    fn read(&self, from: u64, each: EachChange<'_>) -> Result<u64, SchemaError>;
}

/// A log that does not survive the process.
#[derive(Debug, Default)]
pub struct MemoryRegistryLog {
    changes: Mutex<Vec<Vec<u8>>>,
}

impl RegistryLog for MemoryRegistryLog {
    fn append(&self, place: u64, change: &[u8]) -> Result<bool, SchemaError> {
        let mut changes = self.changes.lock();
        let is_next = place == changes.len() as u64;
        if is_next {
            changes.push(change.to_vec());
        }
        Ok(is_next)
    }

    fn read(&self, from: u64, each: EachChange<'_>) -> Result<u64, SchemaError> {
        let changes = self.changes.lock().clone();
        for (place, change) in (0..).zip(&changes).skip(from as usize) {
            each(place, change)?;
        }
        Ok(changes.len() as u64)
    }
}
