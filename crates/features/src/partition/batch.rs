//! Folding many records with the waiting overlapped: the same steps in the same order as one by
//! one, after a look ahead that asks for the memory they will touch.
//!
//! The look ahead goes in rounds over a few records: hashes and index slots, then rows, then what
//! the rows point to, then the rows and lists of the items to be paired. What it finds out is a
//! guess that the fold step verifies, since records of the same batch may change it.

use super::PartitionState;
use super::apply::EventKeys;
use crate::kernels::prefetch_slice;
use crate::outcome::Outcome;
use nowcast_types::{Event, Offset, Record};

/// Records looked ahead at a time. Each asks for about 15 cache lines, so this many fit the first
/// two cache levels with room to spare.
const LOOK_AHEAD: usize = 32;

impl PartitionState {
    /// Folds records in order, faster than one by one and with the same result. Adds one outcome
    /// per record to `outcomes`.
    pub fn apply_batch(&mut self, records: &[(Offset, Record<'_>)], outcomes: &mut Vec<Outcome>) {
        for run in records.chunks(LOOK_AHEAD) {
            let keys = self.look_ahead(run);
            for ((offset, record), keys) in run.iter().zip(&keys) {
                outcomes.push(self.apply_with(*offset, record, keys));
            }
        }
    }

    fn look_ahead(&self, run: &[(Offset, Record<'_>)]) -> [EventKeys; LOOK_AHEAD] {
        let mut keys = [EventKeys::default(); LOOK_AHEAD];
        for (event, keys) in events(run, &mut keys) {
            *keys = EventKeys::of(event);
            self.dedup.prefetch(keys.dedup);
            self.users.prefetch_index(&event.user);
            self.items.prefetch_index(keys.item);
        }
        for (event, keys) in events(run, &mut keys) {
            keys.user_guess = self.users.guess(&event.user);
            if event.item_id.is_some() {
                keys.item_guess = self.items.guess(keys.item);
            }
        }
        for (event, keys) in events(run, &mut keys) {
            let is_interaction = self.is_interaction(event);
            self.prefetch_user_parts(keys, is_interaction);
            self.prefetch_item_parts(keys, is_interaction);
        }
        for (event, keys) in events(run, &mut keys) {
            if self.is_interaction(event) {
                self.for_recent_items(keys, |item| self.items.prefetch_half(item));
            }
        }
        for (event, keys) in events(run, &mut keys) {
            if self.is_interaction(event) {
                self.for_recent_items(keys, |item| {
                    if let Some(row) = self.items.get(item) {
                        prefetch_slice(&row.neighbours, 256);
                    }
                });
            }
        }
        keys
    }

    /// Whether the event will touch the history and what hangs on it.
    fn is_interaction(&self, event: &Event<'_>) -> bool {
        self.plan.event(event.event_type).is_interaction
    }

    fn prefetch_user_parts(&self, keys: &EventKeys, is_interaction: bool) {
        if let Some(user) = keys.user_guess.and_then(|slot| self.users.get(slot)) {
            if is_interaction {
                let history = user.history.entries(self.plan.history_len);
                let tail = history.len().saturating_sub(8);
                prefetch_slice(&history[tail..], 96);
            }
            prefetch_slice(&user.words, 192);
        }
    }

    fn prefetch_item_parts(&self, keys: &EventKeys, is_interaction: bool) {
        if let Some(row) = keys.item_guess.and_then(|item| self.items.get(item)) {
            prefetch_slice(row.id.as_bytes(), 64);
            prefetch_slice(&row.words, 256);
            if is_interaction {
                prefetch_slice(&row.neighbours, 256);
            }
        }
    }

    /// The items a user's next item will probably be paired with.
    fn for_recent_items(&self, keys: &EventKeys, visit: impl FnMut(u32)) {
        if let Some(user) = keys.user_guess.and_then(|slot| self.users.get(slot)) {
            let history = user.history.entries(self.plan.history_len);
            let recent = self.plan.covisit.recent_items;
            let tail = history.len().saturating_sub(recent);
            history[tail..]
                .iter()
                .map(|entry| entry.item.0)
                .for_each(visit);
        }
    }
}

fn events<'a, 'r>(
    run: &'a [(Offset, Record<'r>)],
    keys: &'a mut [EventKeys],
) -> impl Iterator<Item = (&'a Event<'r>, &'a mut EventKeys)> {
    run.iter()
        .zip(keys)
        .filter_map(|((_, record), keys)| match record {
            Record::Event(event) => Some((event, keys)),
            _ => None,
        })
}
