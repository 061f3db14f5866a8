//! The registry's changes as records of the event log, embedded or on brokers alike.
//!
//! A change names the offset it was planned for. Whoever reads the log passes over changes at
//! other offsets, so all processes agree on which of two changes planned side by side came first,
//! without a lock between them.

use nowcast_log::{EventLog, LogError, RecordBatch};
use nowcast_schemas::registry::EachChange;
use nowcast_schemas::{RegistryLog, SchemaError};
use nowcast_types::{Clock, Offset, PartitionId, Record, SchemaChange, Stream};
use std::sync::Arc;

/// Bytes of one read.
const READ_BYTES: usize = 1 << 20;

/// The stream `schemas` of an event log.
pub struct EventRegistryLog {
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
}

impl EventRegistryLog {
    /// The registry's part of `log`.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, clock: Arc<dyn Clock>) -> Self {
        Self { log, clock }
    }
}

const PARTITION: PartitionId = PartitionId(0);

fn unavailable(error: LogError) -> SchemaError {
    SchemaError::LogUnavailable(error.to_string())
}

/// Calls `each` with offset and change of every record from `from` on; answers with the end.
fn read(
    log: &dyn EventLog,
    from: Offset,
    each: &mut dyn FnMut(Offset, &SchemaChange<'_>) -> Result<(), SchemaError>,
) -> Result<Offset, SchemaError> {
    let mut next = from;
    loop {
        let batches = log.read(Stream::Schemas, PARTITION, next, READ_BYTES);
        let batches = batches.map_err(unavailable)?;
        if batches.is_empty() {
            return Ok(next);
        }
        for (offset, record) in batches.iter().flat_map(|batch| batch.records()) {
            if offset < next {
                continue;
            }
            let bad = |reason: String| SchemaError::BadChange {
                place: offset,
                reason,
            };
            match record.map_err(|error| bad(error.to_string()))? {
                Record::Schema(change) => each(offset, &change)?,
                _ => return Err(bad("it is not a change of the registry".to_owned())),
            }
            next = offset + 1;
        }
    }
}

impl RegistryLog for EventRegistryLog {
    fn append(&self, place: u64, change: &[u8]) -> Result<bool, SchemaError> {
        let text = std::str::from_utf8(change)
            .map_err(|error| SchemaError::LogUnavailable(error.to_string()))?;
        let mut batch = RecordBatch::new();
        batch.push(&Record::Schema(SchemaChange {
            at: self.clock.now(),
            place,
            change: text,
        }));
        let stored = self.log.append(Stream::Schemas, PARTITION, batch).wait();
        Ok(stored.map_err(unavailable)?.start == place)
    }

    fn read(&self, from: u64, each: EachChange<'_>) -> Result<u64, SchemaError> {
        read(&*self.log, from, &mut |offset, change| {
            if change.place == offset {
                each(offset, change.change.as_bytes())
            } else {
                Ok(())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_engine::SystemClock;
    use nowcast_log::MemoryLog;

    #[test]
    fn of_two_changes_planned_side_by_side_the_first_has_an_effect() {
        let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new(1));
        let one = EventRegistryLog::new(Arc::clone(&log), Arc::new(SystemClock));
        let other = EventRegistryLog::new(log, Arc::new(SystemClock));
        assert!(one.append(0, b"a").unwrap());
        assert!(!other.append(0, b"b").unwrap(), "place 0 is taken");
        assert!(other.append(2, b"c").unwrap(), "after what was in vain");
        let mut seen = Vec::new();
        let end = one.read(0, &mut |place, bytes| {
            seen.push((place, bytes.to_vec()));
            Ok(())
        });
        assert_eq!(end.unwrap(), 3);
        assert_eq!(seen, [(0, b"a".to_vec()), (2, b"c".to_vec())]);
    }
}
