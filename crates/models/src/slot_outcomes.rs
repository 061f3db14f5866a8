//! What came of the lists that slots had shown, beside the interactions: for a model that tells
//! slots apart. It does not say what else was on those lists.

/// Something that a user did with an item of a list that a slot had shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotOutcome {
    /// Number of the slot.
    pub slot: u32,
    /// Row of the interactions.
    pub user: u32,
    /// Dense item index of the interactions.
    pub item: u32,
    /// When, in seconds since the epoch.
    pub time_s: u32,
}

/// The newest outcome of each user in each slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotOutcomes {
    names: Vec<String>,
    /// By slot, then by user.
    outcomes: Vec<SlotOutcome>,
}

impl SlotOutcomes {
    /// The newest of `outcomes` for each user and slot, of equal times the last. Those of a slot
    /// without a name are left out.
    #[must_use]
    pub fn new(names: Vec<String>, mut outcomes: Vec<SlotOutcome>) -> Self {
        outcomes.retain(|outcome| (outcome.slot as usize) < names.len());
        keep_newest(&mut outcomes);
        Self { names, outcomes }
    }

    /// Name and outcomes of each slot that has some, in the order of the names given.
    pub fn slots(&self) -> impl Iterator<Item = (&str, &[SlotOutcome])> {
        let of_slots = self.outcomes.chunk_by(|a, b| a.slot == b.slot);
        of_slots.map(|outcomes| {
            let slot = outcomes[0].slot as usize;
            (self.names[slot].as_str(), outcomes)
        })
    }

    /// Number of outcomes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }
}

/// Keeps the newest outcome of each user and slot, of equal times the last, by slot and user.
pub fn keep_newest(outcomes: &mut Vec<SlotOutcome>) {
    // Stable, so of equal times the last stays last.
    outcomes.sort_by_key(|outcome| (outcome.slot, outcome.user, outcome.time_s));
    outcomes.reverse();
    outcomes.dedup_by_key(|outcome| (outcome.slot, outcome.user));
    outcomes.reverse();
}
