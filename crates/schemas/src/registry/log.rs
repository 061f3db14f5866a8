//! Where the registry's changes are kept, in order.

use crate::error::SchemaError;
use parking_lot::Mutex;

/// One stored change.
#[derive(Debug, Clone, Copy)]
pub struct StoredChange<'a> {
    /// Where the log has it.
    pub place: u64,
    /// The revision of the registry that it was planned on.
    pub planned_on: u64,
    /// The change, encoded.
    pub bytes: &'a [u8],
}

/// Takes one change; what it fails with ends the reading.
pub type EachChange<'a> = &'a mut dyn FnMut(StoredChange<'_>) -> Result<(), SchemaError>;

/// An ordered, durable log of encoded changes that several processes may write to.
///
/// The log keeps whatever it is given. A change counts for a reader only if it was planned on the
/// revision that the reader has reached, which is the number of changes that counted before: of
/// two that were planned side by side only the first has an effect. Places are numbers that grow;
/// a log may have places without a change. Both methods may block; they are called off the async
/// threads.
pub trait RegistryLog: Send + Sync {
    /// Adds a change that was planned on revision `planned_on`; durable when it returns.
    ///
    /// # Errors
    /// If the log did not take it; it may be there all the same, which the next reading shows.
    fn append(&self, planned_on: u64, change: &[u8]) -> Result<(), SchemaError>;

    /// Calls `each` with every change from place `from` on, the oldest first, until it fails;
    /// answers with the end.
    ///
    /// # Errors
    /// The log's, or that of `each`.
    fn read(&self, from: u64, each: EachChange<'_>) -> Result<u64, SchemaError>;
}

/// A log that does not survive the process.
#[derive(Debug, Default)]
pub struct MemoryRegistryLog {
    changes: Mutex<Vec<(u64, Vec<u8>)>>,
}

impl RegistryLog for MemoryRegistryLog {
    fn append(&self, planned_on: u64, change: &[u8]) -> Result<(), SchemaError> {
        self.changes.lock().push((planned_on, change.to_vec()));
        Ok(())
    }

    fn read(&self, from: u64, each: EachChange<'_>) -> Result<u64, SchemaError> {
        let changes = self.changes.lock().clone();
        for (place, (planned_on, bytes)) in (0..).zip(&changes).skip(from as usize) {
            each(StoredChange {
                place,
                planned_on: *planned_on,
                bytes,
            })?;
        }
        Ok(changes.len() as u64)
    }
}
