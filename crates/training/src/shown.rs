//! What was shown to whom of late, so that an interaction is known to have come of a slot's list.
//!
//! Impressions and slates both say what was shown. An interaction belongs to the list that its event
//! names by the answer's id, or else to the latest one within the attribution window that showed its
//! item to its user, as in the fold. What is remembered of lists has a bound, the oldest goes first;
//! and what was shown to somebody who has done nothing yet is passed over: there is no history that
//! could have foretold the choice.

use nowcast_models::slot_outcomes::keep_newest;
use nowcast_models::{SlotOutcome, SlotOutcomes};
use nowcast_types::Span;
use nowcast_types::stable_hash::stable_hash;
use std::collections::HashMap;

/// Keys remembered, two for each shown item, per generation of two.
const GENERATION: usize = 1 << 20;
/// Most slots; lists of further ones are passed over.
const SLOTS_MAX: usize = 100;
/// Most outcomes kept, the newest.
const OUTCOMES_MAX: usize = 1 << 20;

/// An item on a list, as whoever looks for it knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Number of the user in the data set.
    pub(crate) user: u32,
    /// Hash of the item's id.
    pub(crate) item: u64,
    /// Id of the answer, if it is known.
    pub(crate) request_id: Option<&'a str>,
    /// When it was shown or chosen, in seconds since the epoch.
    pub(crate) time_s: u32,
}

#[derive(Debug, Clone, Copy)]
struct Showing {
    slot: u16,
    time_s: u32,
}

/// What was shown, and the outcomes found so far.
#[derive(Debug)]
pub(crate) struct Shown {
    window_s: i64,
    slots: Vec<String>,
    /// By user and item, with and without the answer; the newer half first.
    showings: [HashMap<u64, Showing>; 2],
    outcomes: Vec<SlotOutcome>,
}

impl Place<'_> {
    fn key(&self, request_id: Option<&str>) -> u64 {
        // No answer is another key than any answer.
        let answer = request_id.map_or(1, |id| stable_hash(id.as_bytes(), 1));
        let mut bytes = [0_u8; 20];
        bytes[..4].copy_from_slice(&self.user.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.item.to_le_bytes());
        bytes[12..].copy_from_slice(&answer.to_le_bytes());
        stable_hash(&bytes, 0)
    }
}

/// The item's part of a place.
pub(crate) fn item_hash(item_id: &str) -> u64 {
    stable_hash(item_id.as_bytes(), 0)
}

impl Shown {
    pub(crate) fn new(window: Span) -> Self {
        Self {
            window_s: window.ms() / 1_000,
            slots: Vec::new(),
            showings: [HashMap::new(), HashMap::new()],
            outcomes: Vec::new(),
        }
    }

    /// An item was shown in a slot.
    pub(crate) fn show(&mut self, slot: &str, place: &Place<'_>) {
        let Some(slot) = self.slot(slot) else {
            return;
        };
        let time_s = place.time_s;
        self.insert(place.key(None), Showing { slot, time_s });
        if place.request_id.is_some() {
            self.insert(place.key(place.request_id), Showing { slot, time_s });
        }
    }

    fn slot(&mut self, name: &str) -> Option<u16> {
        let known = self.slots.iter().position(|slot| slot == name);
        if known.is_none() && self.slots.len() < SLOTS_MAX {
            self.slots.push(name.to_owned());
            return u16::try_from(self.slots.len() - 1).ok();
        }
        known.and_then(|slot| u16::try_from(slot).ok())
    }

    fn insert(&mut self, key: u64, showing: Showing) {
        if self.showings[0].len() >= GENERATION {
            self.showings.swap(0, 1);
            self.showings[0].clear();
        }
        let newest = self.showings[0].entry(key).or_insert(showing);
        if newest.time_s <= showing.time_s {
            *newest = showing;
        }
    }

    /// Something was done with `item`, which `place` says where to look for.
    pub(crate) fn chosen(&mut self, item: u32, place: &Place<'_>) {
        let key = place.key(place.request_id);
        let [newer, older] = &self.showings;
        let Some(showing) = newer.get(&key).or_else(|| older.get(&key)) else {
            return;
        };
        let age_s = i64::from(place.time_s) - i64::from(showing.time_s);
        let is_named = place.request_id.is_some();
        if age_s > self.window_s || (age_s < 0 && !is_named) {
            return;
        }
        self.outcomes.push(SlotOutcome {
            slot: showing.slot.into(),
            user: place.user,
            item,
            time_s: place.time_s,
        });
        // Amortised: one sort for every quarter of the bound.
        if self.outcomes.len() > OUTCOMES_MAX + OUTCOMES_MAX / 4 {
            self.drop_surplus();
        }
    }

    /// Of more outcomes than the bound the newest stay.
    fn drop_surplus(&mut self) {
        keep_newest(&mut self.outcomes);
        let surplus = self.outcomes.len().saturating_sub(OUTCOMES_MAX);
        if surplus > 0 {
            self.outcomes.sort_by_key(|outcome| outcome.time_s);
            self.outcomes.drain(..surplus);
        }
    }

    /// The outcomes of users who got a number in `renumbered`; the others have none any more.
    pub(crate) fn finish(mut self, renumbered: &[u32]) -> SlotOutcomes {
        self.outcomes.retain_mut(|outcome| {
            outcome.user = renumbered[outcome.user as usize];
            outcome.user != u32::MAX
        });
        self.drop_surplus();
        SlotOutcomes::new(self.slots, self.outcomes)
    }
}
