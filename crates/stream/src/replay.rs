//! Folding a whole log from its beginning, without checkpoints, catalogue or readers.
//!
//! The same fold as the processor's, so at the same position it must give the same state, bit for
//! bit: `nowcast replay` prints the hashes, tests compare them.

use crate::error::StreamError;
use nowcast_features::{FoldPlan, PartitionState};
use nowcast_log::EventLog;
use nowcast_store::ChainId;
use nowcast_types::{Offset, PartitionId, Record, Stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Bytes read from the log at once.
const READ_BYTES_MAX: usize = 4 << 20;
/// Records folded in one call.
const BATCH_RECORDS: usize = 1_024;

/// One partition, folded up to where the log ended when the replay began.
#[derive(Debug)]
pub struct Replayed {
    /// Which partition.
    pub partition: PartitionId,
    /// Its state.
    pub state: PartitionState,
    /// [`PartitionState::state_hash`] of it.
    pub state_hash: u64,
    /// The first offset the log still had; above 0 the state lacks what came before.
    pub earliest: Offset,
}

/// Folds all partitions of the events on `threads` threads, from the log's beginning to where it
/// ends now. `folded` counts records, for whoever shows progress.
///
/// # Errors
/// The log's; [`StreamError::BadRecord`].
pub fn replay(
    log: &dyn EventLog,
    plan: &Arc<FoldPlan>,
    threads: usize,
    folded: &AtomicU64,
) -> Result<Vec<Replayed>, StreamError> {
    let partitions = usize::from(log.partitions(Stream::Events));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= partitions {
                return Ok(done);
            }
            done.push(replay_partition(log, plan, PartitionId(at as u16), folded)?);
        }
    };
    let parts: Vec<Result<Vec<Replayed>, StreamError>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads.clamp(1, partitions.max(1)))
            .map(|_| scope.spawn(work))
            .collect();
        let joined = handles.into_iter().map(|handle| handle.join());
        joined
            .map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut all = Vec::with_capacity(partitions);
    for part in parts {
        all.extend(part?);
    }
    all.sort_by_key(|replayed| replayed.partition);
    Ok(all)
}

/// Folds one partition from the log's beginning to where it ends now.
///
/// # Errors
/// As [`replay`].
pub fn replay_partition(
    log: &dyn EventLog,
    plan: &Arc<FoldPlan>,
    partition: PartitionId,
    folded: &AtomicU64,
) -> Result<Replayed, StreamError> {
    let end = log.bounds(Stream::Events, partition)?.end;
    replay_partition_to(log, plan, partition, end, folded)
}

/// Folds one partition from the log's beginning to `end`, which must be there.
///
/// # Errors
/// As [`replay`].
pub fn replay_partition_to(
    log: &dyn EventLog,
    plan: &Arc<FoldPlan>,
    partition: PartitionId,
    end: Offset,
    folded: &AtomicU64,
) -> Result<Replayed, StreamError> {
    let earliest = log.bounds(Stream::Events, partition)?.earliest;
    let mut state = PartitionState::new(plan.clone());
    let mut outcomes = Vec::new();
    let mut position = earliest;
    while position < end {
        let batches = log.read(Stream::Events, partition, position, READ_BYTES_MAX)?;
        let mut records: Vec<(Offset, Record<'_>)> = Vec::with_capacity(BATCH_RECORDS);
        let all = batches.iter().flat_map(|batch| batch.records());
        for (offset, record) in all.filter(|(offset, _)| (position..end).contains(offset)) {
            let record = record.map_err(|error| StreamError::BadRecord {
                chain: ChainId::events(partition),
                offset,
                detail: error.to_string(),
            })?;
            records.push((offset, record));
            if records.len() == BATCH_RECORDS {
                state.apply_batch(&records, &mut outcomes);
                folded.fetch_add(records.len() as u64, Ordering::Relaxed);
                records.clear();
                outcomes.clear();
            }
        }
        state.apply_batch(&records, &mut outcomes);
        folded.fetch_add(records.len() as u64, Ordering::Relaxed);
        outcomes.clear();
        position = batches.last().map_or(end, |batch| batch.end_offset());
    }
    Ok(Replayed {
        partition,
        state_hash: state.state_hash(),
        state,
        earliest,
    })
}
