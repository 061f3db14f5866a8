//! The joiner's part of the fold step: what was shown, what came of it, and windows that close.

use super::PartitionState;
use super::apply::EventKeys;
use crate::attribution::{Labelled, OutcomeEvent, OwnedExample};
use crate::outcome::{Outcome, SkipReason};
use nowcast_types::stable_hash::stable_hash;
use nowcast_types::{Consent, Event, Offset, Slate};

/// Keeps the ids of slates apart from those of events in the dedup memory.
const SLATE_SEED: u64 = 0x51A7_E000;

impl PartitionState {
    /// Whether labelled examples are kept for [`Self::take_examples`]. Without it they are counted
    /// and dropped, which changes nothing of the state. To be said again after each restore.
    pub fn collect_examples(&mut self, is_collecting: bool) {
        self.joiner
            .collect(is_collecting && self.plan.attribution.is_some());
    }

    /// The examples labelled since the last call, in order.
    pub fn take_examples(&mut self) -> Vec<OwnedExample> {
        self.joiner.take_examples()
    }

    /// How many labels were given since offset 0.
    #[must_use]
    pub const fn labelled(&self) -> Labelled {
        self.joiner.labelled
    }

    /// Slates that may still be labelled.
    #[must_use]
    pub fn pending_slates(&self) -> usize {
        self.joiner.len()
    }

    pub(super) fn apply_slate(&mut self, offset: Offset, slate: &Slate<'_>) -> Outcome {
        let plan = std::sync::Arc::clone(&self.plan);
        let Some(attribution) = &plan.attribution else {
            return Outcome::Skipped(SkipReason::NotInUse);
        };
        let seed = slate.user.bits() ^ SLATE_SEED;
        if !self
            .dedup
            .insert(stable_hash(slate.request_id.as_bytes(), seed))
        {
            return Outcome::Duplicate;
        }
        self.joiner.begin();
        self.joiner
            .show(attribution, plan.lateness_ms, offset, slate);
        self.joiner
            .advance(attribution, plan.lateness_ms, offset, self.watermark);
        Outcome::Applied
    }

    /// Labels what an event made come true, then closes what its time closes.
    pub(super) fn attribute(
        &mut self,
        offset: Offset,
        event: &Event<'_>,
        keys: &EventKeys,
        outcome: Outcome,
    ) {
        let plan = std::sync::Arc::clone(&self.plan);
        let Some(attribution) = &plan.attribution else {
            return;
        };
        self.joiner.begin();
        if matches!(outcome, Outcome::Applied | Outcome::Suppressed) && event.item_id.is_some() {
            let event = OutcomeEvent {
                user: event.user,
                event_type: event.event_type,
                value: event.value,
                item: keys.item,
                at: event.timestamp,
                request_id: event.request_id,
                may_train: event.consent.allows(Consent::TRAIN),
            };
            self.joiner.outcome(attribution, offset, &event);
        }
        self.joiner
            .advance(attribution, plan.lateness_ms, offset, self.watermark);
    }
}
