//! The live state of one partition of the events, and the tables between its numbers and ours.
//!
//! The fold's numbers for items and categories mean nothing outside the partition and are part of
//! its state; the process-wide numbers of the catalogue are not. The tables between the two live
//! beside the state, are rebuilt on restart and never persisted.

use crate::error::StreamError;
use crate::fold::{Fold, RestoreError};
use crate::outbox::Outbox;
use metrics::{Counter, Gauge};
use nowcast_features::{FeaturesError, FoldPlan, LocalCategory, LocalItem, Outcome};
use nowcast_features::{PartitionReplica, PartitionState, RemoteUser, SkipReason, UserRef};
use nowcast_log::{AppendAck, EventLog, RecordBatch};
use nowcast_store::{Catalog, ItemIdx, LabelIdx, Saved};
use nowcast_types::{Offset, PartitionId, Record, Stream, UserKey};
use parking_lot::RwLock;
use std::sync::Arc;

const UNKNOWN: u32 = u32::MAX;

/// One partition's state as readers see it, under a read lock: take what you need and return.
#[derive(Debug)]
pub struct PartitionView {
    held: Held,
    to_global: Vec<ItemIdx>,
    /// By [`ItemIdx`]; shorter than the catalogue where this partition knows no later item.
    to_local: Vec<u32>,
    categories: Vec<LabelIdx>,
}

/// What of a partition is here.
#[derive(Debug)]
enum Held {
    /// All of it, because it is folded here.
    Whole(PartitionState),
    /// The item side, because it is folded elsewhere.
    ItemSide(PartitionReplica),
}

impl Held {
    const fn state(&self) -> &PartitionState {
        match self {
            Self::Whole(state) => state,
            Self::ItemSide(replica) => replica.state(),
        }
    }
}

impl PartitionView {
    pub(crate) fn new(state: PartitionState, catalog: &Catalog) -> Self {
        Self::of(Held::Whole(state), catalog)
    }

    /// The view of a partition that is folded elsewhere.
    pub(crate) fn replica(replica: PartitionReplica, catalog: &Catalog) -> Self {
        Self::of(Held::ItemSide(replica), catalog)
    }

    fn of(held: Held, catalog: &Catalog) -> Self {
        let mut view = Self {
            held,
            to_global: Vec::new(),
            to_local: Vec::new(),
            categories: Vec::new(),
        };
        view.follow(catalog);
        view
    }

    /// The state itself.
    #[must_use]
    pub fn state(&self) -> &PartitionState {
        self.held.state()
    }

    /// The state, for the one who folds it.
    ///
    /// # Panics
    /// If the partition is folded elsewhere.
    fn whole_mut(&mut self) -> &mut PartitionState {
        match &mut self.held {
            Held::Whole(state) => state,
            Held::ItemSide(_) => unreachable!("whoever folds a partition begins with its state"),
        }
    }

    /// Takes over rows that the owner of a partition folded elsewhere has published.
    pub(crate) fn apply_rows(
        &mut self,
        rows: &[u8],
        catalog: &Catalog,
    ) -> Result<(), FeaturesError> {
        if let Held::ItemSide(replica) = &mut self.held {
            replica.apply(&[rows])?;
            self.follow(catalog);
        }
        Ok(())
    }

    /// Reads a user of a partition folded elsewhere from their section in its owner's store.
    /// `None` if the section does not decode, or the partition is folded here.
    pub(crate) fn read_section(&self, key: &UserKey, section: &[u8]) -> Option<RemoteUser> {
        let Held::ItemSide(replica) = &self.held else {
            return None;
        };
        replica
            .read_user(key, section)
            .inspect_err(|error| tracing::warn!(%error, "a stored user is not usable"))
            .ok()
    }

    /// A user that [`Self::read_section`] has read, as the partition itself would show them.
    pub(crate) fn user_of<'a>(&'a self, user: &'a RemoteUser) -> Option<UserRef<'a>> {
        match &self.held {
            Held::ItemSide(replica) => Some(replica.user(user)),
            Held::Whole(_) => None,
        }
    }

    /// The process-wide number of each local item, by local number.
    #[must_use]
    pub fn to_global(&self) -> &[ItemIdx] {
        &self.to_global
    }

    /// The process-wide number of a local item.
    ///
    /// # Panics
    /// If the number is not of this partition.
    #[must_use]
    pub fn item(&self, item: LocalItem) -> ItemIdx {
        self.to_global[item.index()]
    }

    /// The process-wide number of a local category.
    ///
    /// # Panics
    /// If the number is not of this partition.
    #[must_use]
    pub fn category(&self, category: LocalCategory) -> LabelIdx {
        self.categories[category.index()]
    }

    /// The local number of an item, if any event of this partition named it.
    #[must_use]
    pub fn local(&self, item: ItemIdx) -> Option<LocalItem> {
        let local = *self.to_local.get(item.0 as usize)?;
        (local != UNKNOWN).then_some(LocalItem(local))
    }

    /// A user of this partition.
    #[must_use]
    pub fn user(&self, user: &UserKey) -> Option<UserRef<'_>> {
        self.state().user(user)
    }

    /// Brings the tables up to the state.
    fn follow(&mut self, catalog: &Catalog) {
        let new_items = match &mut self.held {
            Held::Whole(state) => state.drain_new_items(),
            Held::ItemSide(replica) => replica.drain_new_items(),
        };
        for local in new_items {
            let item = catalog.intern(self.state().item_id(LocalItem(local)));
            debug_assert_eq!(self.to_global.len(), local as usize);
            self.to_global.push(item);
            if self.to_local.len() <= item.0 as usize {
                self.to_local.resize(item.0 as usize + 1, UNKNOWN);
            }
            self.to_local[item.0 as usize] = local;
        }
        for local in self.categories.len() as u32..self.state().categories_len() {
            let name = self.state().category(LocalCategory(local));
            let category = catalog.intern_category(name);
            self.categories.push(category);
        }
    }
}

/// The fold of one partition of the events.
pub(crate) struct EventsFold {
    pub(crate) partition: PartitionId,
    pub(crate) plan: Arc<FoldPlan>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) view: Arc<RwLock<PartitionView>>,
    /// Whether the store appends ids of events to those it has.
    pub(crate) appends_dedup: bool,
    /// Late records below this offset were copied before; a replay must not copy them again.
    pub(crate) late_from: Offset,
    pub(crate) late: Vec<AppendAck>,
    pub(crate) late_lost: Counter,
    pub(crate) outbox: Outbox,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) outcome_counts: OutcomeCounts,
}

/// Handles of the counters by outcome, so that the fold looks nothing up.
pub(crate) struct OutcomeCounts {
    pub(crate) applied: Counter,
    pub(crate) duplicate: Counter,
    pub(crate) late: Counter,
    pub(crate) suppressed: Counter,
    pub(crate) skipped: Counter,
    pub(crate) pending: Gauge,
}

impl OutcomeCounts {
    pub(crate) fn new(partition: PartitionId) -> Self {
        let counter = |outcome: &'static str| {
            let partition = partition.0.to_string();
            metrics::counter!("nowcast_fold_records_total", "partition" => partition, "outcome" => outcome)
        };
        Self {
            applied: counter("applied"),
            duplicate: counter("duplicate"),
            late: counter("late"),
            suppressed: counter("suppressed"),
            skipped: counter("skipped"),
            pending: metrics::gauge!("nowcast_pending_slates", "partition" => partition.0.to_string()),
        }
    }

    fn count(&self, outcomes: &[Outcome]) {
        let count = |counter: &Counter, which: fn(&Outcome) -> bool| {
            let n = outcomes.iter().filter(|outcome| which(outcome)).count() as u64;
            if n > 0 {
                counter.increment(n);
            }
        };
        count(&self.applied, |o| matches!(o, Outcome::Applied));
        count(&self.duplicate, |o| matches!(o, Outcome::Duplicate));
        count(&self.late, |o| matches!(o, Outcome::Late));
        count(&self.suppressed, |o| matches!(o, Outcome::Suppressed));
        count(&self.skipped, |o| matches!(o, Outcome::Skipped(_)));
    }
}

impl EventsFold {
    /// Copies late events to their stream. Copies may repeat after a crash; their event ids tell.
    fn copy_late(&mut self, records: &[(Offset, Record<'_>)]) {
        let late_from = self.late_from;
        let mut copies = RecordBatch::new();
        for ((offset, record), outcome) in records.iter().zip(&self.outcomes) {
            if *outcome == Outcome::Late && *offset >= late_from {
                copies.push(record);
            }
        }
        if !copies.is_empty() {
            let ack = self.log.append(Stream::Late, PartitionId(0), copies);
            self.late.push(ack);
        }
    }
}

impl Fold for EventsFold {
    fn restore(&mut self, saved: Saved) -> Result<(), RestoreError> {
        self.late_from = self.late_from.max(saved.position);
        let restored = PartitionState::restore(self.plan.clone(), &saved.blobs);
        drop(saved.blobs);
        let mut state = restored.map_err(|error| match error {
            FeaturesError::PlanChanged { .. } => RestoreError::PlanChanged(error.to_string()),
            other => RestoreError::Unfit(other.to_string()),
        })?;
        if state.position() != saved.position {
            return Err(RestoreError::Unfit(format!(
                "its files say position {}, its content {}",
                saved.position,
                state.position()
            )));
        }
        state.append_dedup(self.appends_dedup);
        state.collect_examples(true);
        let view = PartitionView::new(state, &self.catalog);
        *self.view.write() = view;
        Ok(())
    }

    fn reset(&mut self) {
        let mut state = PartitionState::new(self.plan.clone());
        state.append_dedup(self.appends_dedup);
        state.collect_examples(true);
        *self.view.write() = PartitionView::new(state, &self.catalog);
    }

    fn skip_to(&mut self, offset: Offset) {
        if let Some(last_gone) = offset.checked_sub(1) {
            let mut view = self.view.write();
            view.whole_mut().skip(last_gone, SkipReason::AlreadyFolded);
        }
    }

    fn position(&self) -> Offset {
        self.view.read().state().position()
    }

    fn apply(&mut self, records: &[(Offset, Record<'_>)]) -> Result<(), StreamError> {
        self.outcomes.clear();
        let examples = {
            let mut view = self.view.write();
            view.whole_mut().apply_batch(records, &mut self.outcomes);
            view.follow(&self.catalog);
            let state = view.whole_mut();
            self.outcome_counts
                .pending
                .set(state.pending_slates() as f64);
            state.take_examples()
        };
        self.outcome_counts.count(&self.outcomes);
        self.copy_late(records);
        self.outbox.put(self.partition, &examples)?;
        Ok(())
    }

    fn encode_delta(&mut self) -> Vec<u8> {
        let changes = self.view.write().whole_mut().take_changes();
        // Nothing folds in between, because this thread is the only one that does.
        let mut blob = Vec::new();
        self.view.read().state().encode_changes(&changes, &mut blob);
        blob
    }

    fn encode_full(&mut self) -> Vec<Vec<u8>> {
        // The whole state covers all changes so far.
        self.view.write().whole_mut().take_changes();
        let mut blob = Vec::new();
        self.view.read().state().encode_full(&mut blob);
        vec![blob]
    }

    fn settle(&mut self) -> Result<(), StreamError> {
        for ack in self.late.drain(..) {
            if let Err(error) = ack.wait() {
                // The event itself is in the log; only its copy is missing.
                self.late_lost.increment(1);
                tracing::warn!(partition = self.partition.0, %error, "late events were not copied");
            }
        }
        self.outbox.settle()?;
        Ok(())
    }
}
