//! The state of one partition of the event log: everything the fold remembers.
//!
//! A pure function of the log's prefix: no clock, no random order, no dependence on how records
//! were batched. One thread folds, others read between batches.

mod reads;

use crate::error::FeaturesError;
use crate::outcome::{Counters, Outcome, Progress, SkipReason};
use crate::plan::FoldPlan;
use nowcast_types::{Offset, Record, Timestamp};
pub use reads::{Entity, FeatureKey, FeatureValue, Popularity, UserRef};
use std::ops::Range;
use std::sync::Arc;

/// The state of one partition.
#[derive(Debug)]
pub struct PartitionState {
    plan: Arc<FoldPlan>,
    progress: Progress,
    watermark: Timestamp,
}

impl PartitionState {
    /// The state before offset 0.
    #[must_use]
    pub fn new(plan: Arc<FoldPlan>) -> Self {
        Self {
            plan,
            progress: Progress::default(),
            watermark: Timestamp::MIN,
        }
    }

    /// Folds the record at `offset`; a lower offset than [`Self::position`] changes nothing.
    pub fn apply(&mut self, offset: Offset, _record: &Record<'_>) -> Outcome {
        self.skip(offset, SkipReason::Undecodable)
    }

    /// Folds records in order, faster than one by one and with the same result. Adds one outcome
    /// per record to `outcomes`.
    pub fn apply_batch(&mut self, records: &[(Offset, Record<'_>)], outcomes: &mut Vec<Outcome>) {
        outcomes.extend(
            records
                .iter()
                .map(|(offset, record)| self.apply(*offset, record)),
        );
    }

    /// Moves past a record that cannot be folded, and counts it.
    pub fn skip(&mut self, offset: Offset, reason: SkipReason) -> Outcome {
        self.progress.position = offset + 1;
        Outcome::Skipped(reason)
    }

    /// The next offset to fold.
    #[must_use]
    pub const fn position(&self) -> Offset {
        self.progress.position
    }

    /// The highest event time seen, as far as it can be believed; [`Timestamp::MIN`] before any.
    #[must_use]
    pub const fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// What became of the records so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.progress.counters
    }

    /// The plan this state is folded under.
    #[must_use]
    pub const fn plan(&self) -> &Arc<FoldPlan> {
        &self.plan
    }

    /// Items that are new since the last call, as local numbers; after [`Self::restore`], all.
    /// For tables kept beside the state; not part of it.
    pub fn drain_new_items(&mut self) -> Range<u32> {
        0..0
    }

    /// Bytes of the state as the budget counts them.
    #[must_use]
    pub const fn state_bytes(&self) -> u64 {
        0
    }

    /// Appends what changed since the last call (or since [`Self::restore`]) as one blob.
    pub fn encode_delta(&mut self, _out: &mut Vec<u8>) {}

    /// Appends the whole state as one blob. Does not touch what the next delta will hold.
    pub fn encode_full(&self, _out: &mut Vec<u8>) {}

    /// Rebuilds a state from a full blob (or none) and the deltas after it, oldest first.
    ///
    /// # Errors
    /// [`FeaturesError::PlanChanged`] if the configuration means something else now,
    /// [`FeaturesError::Corrupt`] if the bytes do not decode.
    pub fn restore<B: AsRef<[u8]>>(
        plan: Arc<FoldPlan>,
        _blobs: &[B],
    ) -> Result<Self, FeaturesError> {
        Ok(Self::new(plan))
    }

    /// Writes the state as canonical text: sorted by key, strings instead of local numbers.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn dump(&self, _out: &mut impl std::io::Write) -> std::io::Result<()> {
        Ok(())
    }

    /// A hash of all state that influences the future; equal states have equal hashes.
    #[must_use]
    pub fn state_hash(&self) -> u64 {
        0
    }
}
