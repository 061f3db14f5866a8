//! From files to states: the best sound chain of checkpoints, then the log from there on.
//!
//! The product does this in `nowcast-stream`; here it is again in few lines and without threads, so
//! that the drills judge files and not the code that normally opens them.

use anyhow::{Result, ensure};
use nowcast_features::{FoldPlan, Outcome, PartitionState};
use nowcast_log::EventLog;
use nowcast_store::checkpoint::{ChainId, CheckpointStore};
use nowcast_types::{PartitionId, Record, Stream};
use std::sync::Arc;

/// What was found damaged and gone around, in words.
pub(super) type Reports = Vec<String>;

/// Bytes of log read at a time.
const READ_BYTES: usize = 64 << 10;

/// The state of the best chain, or an empty one; what was damaged goes to `reports`.
pub(super) fn restore(
    store: &CheckpointStore,
    plan: &Arc<FoldPlan>,
    partition: PartitionId,
    reports: &mut Reports,
) -> Result<PartitionState> {
    let mut recovery = store.recovery(ChainId::events(partition))?;
    while let Some(chain) = recovery.next_chain()? {
        let mut blobs = chain.blobs();
        let read: Result<Vec<Vec<u8>>, _> = blobs.by_ref().collect();
        if let Some(damage) = blobs.damage() {
            recovery.reject(damage.clone());
            continue;
        }
        let mut state = PartitionState::restore(plan.clone(), &read?)?;
        state.collect_examples(true);
        if state.position() != chain.position() {
            recovery.reject_chain(&chain, "its position is not that of its state");
            continue;
        }
        let damage = recovery.accept(Some(&chain));
        reports.extend(damage.into_iter().map(|damage| damage.detail));
        return Ok(state);
    }
    let damage = recovery.accept(None);
    reports.extend(damage.into_iter().map(|damage| damage.detail));
    let mut state = PartitionState::new(plan.clone());
    state.collect_examples(true);
    Ok(state)
}

/// Folds a partition from where `state` stands to the end of the log.
pub(super) fn fold_from_log(
    log: &dyn EventLog,
    partition: PartitionId,
    state: &mut PartitionState,
    mut each: impl FnMut(&Record<'_>, Outcome),
) -> Result<()> {
    let bounds = log.bounds(Stream::Events, partition)?;
    ensure!(
        state.position() <= bounds.end,
        "partition {}: the state reaches {}, the log only {}",
        partition.0,
        state.position(),
        bounds.end
    );
    while state.position() < bounds.end {
        for batch in log.read(Stream::Events, partition, state.position(), READ_BYTES)? {
            for (offset, record) in batch.records() {
                if offset >= state.position() {
                    let record = record?;
                    let outcome = state.apply(offset, &record);
                    each(&record, outcome);
                }
            }
        }
    }
    Ok(())
}
