//! The registry's changes as records of the event log, embedded or on brokers alike.
//!
//! A change names the revision of the registry that it was planned on. Whoever reads the log passes
//! over changes planned on any other than the one reached, so all processes agree on which of two
//! changes planned side by side came first, without a lock between them.

use nowcast_log::{EventLog, LogError, RecordBatch};
use nowcast_schemas::registry::{EachChange, StoredChange};
use nowcast_schemas::{RegistryLog, SchemaError};
use nowcast_types::{Clock, PartitionId, Record, SchemaChange, Stream};
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

impl RegistryLog for EventRegistryLog {
    fn append(&self, planned_on: u64, change: &[u8]) -> Result<(), SchemaError> {
        let text = std::str::from_utf8(change)
            .map_err(|error| SchemaError::LogUnavailable(error.to_string()))?;
        let mut batch = RecordBatch::new();
        batch.push(&Record::Schema(SchemaChange {
            at: self.clock.now(),
            planned_on,
            change: text,
        }));
        let stored = self.log.append(Stream::Schemas, PARTITION, batch).wait();
        stored.map(|_| ()).map_err(unavailable)
    }

    fn read(&self, from: u64, each: EachChange<'_>) -> Result<u64, SchemaError> {
        let mut next = from;
        loop {
            let batches = self.log.read(Stream::Schemas, PARTITION, next, READ_BYTES);
            let batches = batches.map_err(unavailable)?;
            if batches.is_empty() {
                return Ok(next);
            }
            for (place, record) in batches.iter().flat_map(|batch| batch.records()) {
                if place < next {
                    continue;
                }
                let bad = |reason: String| SchemaError::BadChange { place, reason };
                match record.map_err(|error| bad(error.to_string()))? {
                    Record::Schema(SchemaChange {
                        planned_on, change, ..
                    }) => each(StoredChange {
                        place,
                        planned_on,
                        bytes: change.as_bytes(),
                    })?,
                    _ => return Err(bad("it is not a change of the registry".to_owned())),
                }
                next = place + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_engine::SystemClock;
    use nowcast_log::MemoryLog;

    #[test]
    fn both_writers_read_the_changes_in_one_order() {
        let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new(1));
        let one = EventRegistryLog::new(Arc::clone(&log), Arc::new(SystemClock));
        let other = EventRegistryLog::new(log, Arc::new(SystemClock));
        one.append(0, b"a").unwrap();
        other.append(0, b"b").unwrap();
        other.append(1, b"c").unwrap();
        for reader in [one, other] {
            let mut seen = Vec::new();
            let end = reader.read(1, &mut |stored| {
                seen.push((stored.place, stored.planned_on, stored.bytes.to_vec()));
                Ok(())
            });
            assert_eq!(end.unwrap(), 3);
            assert_eq!(seen, [(1, 0, b"b".to_vec()), (2, 1, b"c".to_vec())]);
        }
    }
}
