//! The state of one partition of the event log: everything the fold remembers.
//!
//! A pure function of the log's prefix: no clock, no random order, no dependence on how records
//! were batched. One thread folds, others read between batches.

mod apply;
mod attribute;
mod batch;
mod budget;
mod dump;
mod reads;
mod replica;
mod restore;
mod save;
mod user_record;

use crate::attribution::Joiner;
use crate::dedup::Dedup;
use crate::groups::{Group, Groups};
use crate::items::Items;
use crate::outcome::{Counters, Progress};
use crate::plan::FoldPlan;
use crate::users::Users;
use budget::EvictionClock;
use nowcast_types::{Offset, Timestamp};
pub use reads::{Entity, FeatureKey, FeatureValue, Popularity, UserRef};
pub use replica::{PartitionReplica, RemoteUser, user_slot};
pub use save::Changes;
use std::ops::Range;
use std::sync::Arc;

/// The state of one partition.
#[derive(Debug)]
pub struct PartitionState {
    plan: Arc<FoldPlan>,
    progress: Progress,
    watermark: Timestamp,
    dedup: Dedup,
    users: Users,
    items: Items,
    categories: Groups,
    segments: Groups,
    /// Items within segments; only if a view asks for them.
    item_segments: Groups,
    /// A table of one row.
    global: Groups,
    joiner: Joiner,
    clock: EvictionClock,
    /// Items below this number have been drained.
    items_drained: u32,
}

impl PartitionState {
    /// The state before offset 0.
    #[must_use]
    pub fn new(plan: Arc<FoldPlan>) -> Self {
        let mut global = Groups::default();
        global.restore(Group::default());
        Self {
            plan,
            progress: Progress::default(),
            watermark: Timestamp::MIN,
            dedup: Dedup::default(),
            users: Users::default(),
            items: Items::default(),
            categories: Groups::default(),
            segments: Groups::default(),
            item_segments: Groups::default(),
            global,
            joiner: Joiner::default(),
            clock: EvictionClock::default(),
            items_drained: 0,
        }
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
        let new = self.items_drained..self.items.len();
        self.items_drained = new.end;
        new
    }

    /// Bytes of the state as the budget counts them: from lengths, so that they are the same after
    /// a restart; within a few percent of what the allocator hands out.
    #[must_use]
    pub const fn state_bytes(&self) -> u64 {
        self.users.bytes()
            + self.items.bytes()
            + self.dedup.bytes()
            + self.categories.bytes()
            + self.segments.bytes()
            + self.item_segments.bytes()
            + self.global.bytes()
            + self.joiner.bytes()
    }

    /// Bytes of the state by part, for metrics and the memory bench.
    #[must_use]
    pub const fn state_bytes_by_part(&self) -> [(&'static str, u64); 5] {
        [
            ("users", self.users.bytes()),
            ("items", self.items.bytes()),
            ("dedup", self.dedup.bytes()),
            ("slates", self.joiner.bytes()),
            (
                "groups",
                self.categories.bytes()
                    + self.segments.bytes()
                    + self.item_segments.bytes()
                    + self.global.bytes(),
            ),
        ]
    }
}
