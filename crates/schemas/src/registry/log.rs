//! Where the registry's changes are kept, in order.

use crate::error::SchemaError;
use parking_lot::Mutex;

/// An ordered, durable log of encoded changes.
///
/// One registry writes to it at a time. Both methods may block; they are called off the async
/// threads. An append that failed may or may not be there after a restart.
pub trait RegistryLog: Send + Sync {
    /// Adds a change at the end; durable when it returns.
    ///
    /// # Errors
    /// If the log did not take it.
    fn append(&self, change: &[u8]) -> Result<(), SchemaError>;

    /// Calls `each` with every change, the oldest first, until it fails.
    ///
    /// # Errors
    /// The log's, or that of `each`.
    fn replay(
        &self,
        each: &mut dyn FnMut(&[u8]) -> Result<(), SchemaError>,
    ) -> Result<(), SchemaError>;
}

/// A log that does not survive the process.
#[derive(Debug, Default)]
pub struct MemoryRegistryLog {
    changes: Mutex<Vec<Vec<u8>>>,
}

impl RegistryLog for MemoryRegistryLog {
    fn append(&self, change: &[u8]) -> Result<(), SchemaError> {
        self.changes.lock().push(change.to_vec());
        Ok(())
    }

    fn replay(
        &self,
        each: &mut dyn FnMut(&[u8]) -> Result<(), SchemaError>,
    ) -> Result<(), SchemaError> {
        let changes = self.changes.lock().clone();
        changes.iter().try_for_each(|change| each(change))
    }
}
