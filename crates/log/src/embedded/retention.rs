//! Retiring old segments: from the front, whole, and never what no checkpoint covers.
//!
//! A retired file is renamed into the spares and the folders are synced before the next one goes,
//! so that no crash can leave a hole: the segments left are always the last ones.

use super::Shared;
use super::partition::Partition;
use crate::error::LogError;
use nowcast_disk::failpoint::hit;
use nowcast_types::{Offset, Timestamp};

/// Retires what is too old as seen from `now`, or too much.
pub(super) fn enforce(
    shared: &Shared,
    partition: &Partition,
    now: Timestamp,
) -> Result<(), LogError> {
    let age_max = shared.config.retention_age.ms();
    let count_max = shared.config.retention_bytes.bytes() / shared.config.segment_bytes.bytes();
    let mut limit = 0;
    {
        let view = partition.view();
        let count = view.segments.len();
        // A segment ends where the next one begins, which knows the latest time before itself.
        for (index, next) in view.segments.iter().enumerate().skip(1) {
            let is_too_old = now.since_ms(next.max_timestamp_before) > age_max;
            let is_too_much = (count - index) as u64 >= count_max.max(1);
            if is_too_old || is_too_much {
                limit = next.base;
            }
        }
    }
    truncate_before(shared, partition, limit)
}

/// Retires the segments that end at or before `offset` and are not protected.
pub(super) fn truncate_before(
    shared: &Shared,
    partition: &Partition,
    offset: Offset,
) -> Result<(), LogError> {
    let mut retiring = partition.retiring.lock();
    while !retiring.has_failed && is_first_before(partition, offset) {
        // Cleared only by success: see `Retiring`.
        retiring.has_failed = true;
        retire_first(shared, partition)?;
        retiring.has_failed = false;
    }
    Ok(())
}

fn is_first_before(partition: &Partition, offset: Offset) -> bool {
    let view = partition.view();
    let limit = offset.min(view.protected);
    view.segments.get(1).is_some_and(|next| next.base <= limit)
}

fn retire_first(shared: &Shared, partition: &Partition) -> Result<(), LogError> {
    let first = partition.view().segments.front().cloned();
    let first = first.expect("only retiring removes segments, and its lock is held");
    let path = shared.spares.new_path();
    shared.fs.rename(&first.path, &path)?;
    hit("log.retire.renamed");
    shared.fs.sync_dir(&partition.dir)?;
    shared.fs.sync_dir(shared.spares.dir())?;
    let removed = partition.view().segments.pop_front();
    drop(removed);
    // Whoever still reads holds a clone; nobody can get a new one.
    let is_read = std::sync::Arc::strong_count(&first) > 1;
    shared.spares.offer(path, is_read)
}
