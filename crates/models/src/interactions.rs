//! Training data: who had to do with what, how strongly and when, as compressed sparse rows.
//!
//! One entry per user and item; rows are in the order of time, so most order-aware models need no
//! other form. Repeats are kept beside the rows where the builder was asked to
//! ([`Interactions::sequence`]). Users have no ids here: a model never learns who they were.

use crate::content::ItemContent;
use crate::item_ids::ItemIds;
use crate::slot_outcomes::SlotOutcomes;

/// Users by items with weight and time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Interactions {
    item_ids: ItemIds,
    contents: Vec<ItemContent>,
    /// Row `u` is `starts[u]..starts[u + 1]`.
    starts: Vec<usize>,
    items: Vec<u32>,
    weights: Vec<f32>,
    times_s: Vec<u32>,
    /// Every positive interaction in order, repeats included; absent where nobody asked for it.
    sequences: Option<Sequences>,
    slot_outcomes: SlotOutcomes,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Sequences {
    /// Sequence `u` is `starts[u]..starts[u + 1]`.
    starts: Vec<usize>,
    items: Vec<u32>,
    times_s: Vec<u32>,
}

/// What one user did in order, oldest first; the slices are equally long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sequence<'a> {
    /// Dense item indices.
    pub items: &'a [u32],
    /// Seconds since the epoch; 0 where unknown.
    pub times_s: &'a [u32],
}

/// One user's interactions, oldest first; the slices are equally long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// Dense item indices, distinct.
    pub items: &'a [u32],
    /// Signed strengths, finite, not 0.
    pub weights: &'a [f32],
    /// Seconds since the epoch of the last interaction with the item; 0 where unknown.
    pub times_s: &'a [u32],
}

impl Interactions {
    /// Number of users, with or without interactions.
    #[must_use]
    pub fn users_len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Number of items, with or without interactions.
    #[must_use]
    pub fn items_len(&self) -> usize {
        self.item_ids.len()
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The ids behind the item indices.
    #[must_use]
    pub fn item_ids(&self) -> &ItemIds {
        &self.item_ids
    }

    /// What is known of the items besides who had to do with them; empty or one per item.
    #[must_use]
    pub fn contents(&self) -> &[ItemContent] {
        &self.contents
    }

    /// Adds contents, one per item, in the order of the item ids.
    ///
    /// # Panics
    /// When their number differs from that of the items.
    #[must_use]
    pub fn with_contents(mut self, contents: Vec<ItemContent>) -> Self {
        assert_eq!(contents.len(), self.items_len(), "one content per item");
        self.contents = contents;
        self
    }

    /// What came of lists that slots had shown; empty where nobody noted it.
    #[must_use]
    pub fn slot_outcomes(&self) -> &SlotOutcomes {
        &self.slot_outcomes
    }

    /// Adds what came of lists that slots had shown. Outcomes of users or items that are not in
    /// these interactions say nothing.
    #[must_use]
    pub fn with_slot_outcomes(mut self, slot_outcomes: SlotOutcomes) -> Self {
        self.slot_outcomes = slot_outcomes;
        self
    }

    /// The interactions of one user.
    ///
    /// # Panics
    /// When `user` is not below [`Interactions::users_len`].
    #[must_use]
    pub fn row(&self, user: usize) -> Row<'_> {
        let range = self.starts[user]..self.starts[user + 1];
        Row {
            items: &self.items[range.clone()],
            weights: &self.weights[range.clone()],
            times_s: &self.times_s[range],
        }
    }

    /// What one user did, oldest first. Items repeat if the builder kept repeats
    /// ([`InteractionsBuilder::with_repeats`]); else it is the row. Without repeats kept, entries
    /// of negative weight are among them.
    ///
    /// # Panics
    /// When `user` is not below [`Interactions::users_len`].
    #[must_use]
    pub fn sequence(&self, user: usize) -> Sequence<'_> {
        let Some(kept) = &self.sequences else {
            let row = self.row(user);
            return Sequence {
                items: row.items,
                times_s: row.times_s,
            };
        };
        let range = kept.starts[user]..kept.starts[user + 1];
        Sequence {
            items: &kept.items[range.clone()],
            times_s: &kept.times_s[range],
        }
    }

    /// Whether sequences hold repeats besides the rows.
    pub(crate) const fn keeps_repeats(&self) -> bool {
        self.sequences.is_some()
    }

    /// All rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        (0..self.users_len()).map(|user| self.row(user))
    }

    /// The newest time among all entries; 0 where times are unknown.
    #[must_use]
    pub fn newest_s(&self) -> u32 {
        self.times_s.iter().copied().max().unwrap_or(0)
    }

    /// The same entries by item: row `i` holds users (ascending) in `items`.
    #[must_use]
    pub fn transposed(&self) -> Transposed {
        let mut starts = vec![0_usize; self.items_len() + 1];
        for &item in &self.items {
            starts[item as usize + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut users = vec![0_u32; self.len()];
        let mut weights = vec![0.0_f32; self.len()];
        for (user, row) in self.rows().enumerate() {
            for (&item, &weight) in row.items.iter().zip(row.weights) {
                let at = &mut next[item as usize];
                users[*at] = user as u32;
                weights[*at] = weight;
                *at += 1;
            }
        }
        Transposed {
            starts,
            users,
            weights,
        }
    }

    /// How many users had to do with each item, by item.
    #[must_use]
    pub fn item_counts(&self) -> Vec<u32> {
        let mut counts = vec![0_u32; self.items_len()];
        for &item in &self.items {
            counts[item as usize] += 1;
        }
        counts
    }
}

/// Items by users; see [`Interactions::transposed`].
#[derive(Debug, Clone, PartialEq)]
pub struct Transposed {
    starts: Vec<usize>,
    users: Vec<u32>,
    weights: Vec<f32>,
}

impl Transposed {
    /// Number of items.
    #[must_use]
    pub fn items_len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The users of an item, ascending, and their weights.
    ///
    /// # Panics
    /// When `item` is not below [`Transposed::items_len`].
    #[must_use]
    pub fn row(&self, item: usize) -> (&[u32], &[f32]) {
        let range = self.starts[item]..self.starts[item + 1];
        (&self.users[range.clone()], &self.weights[range])
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    user: u32,
    item: u32,
    weight: f32,
    time_s: u32,
}

/// Collects entries in any order; repeated pairs of user and item are summed.
#[derive(Debug, Clone, Default)]
pub struct InteractionsBuilder {
    item_ids: ItemIds,
    users: u32,
    row_max: Option<usize>,
    keeps_repeats: bool,
    entries: Vec<Entry>,
}

impl InteractionsBuilder {
    /// Starts with the items that can occur.
    #[must_use]
    pub fn new(item_ids: ItemIds) -> Self {
        Self {
            item_ids,
            users: 0,
            row_max: None,
            keeps_repeats: false,
            entries: Vec::new(),
        }
    }

    /// Keeps at most this many entries of each row, the newest.
    #[must_use]
    pub fn with_row_max(mut self, row_max: usize) -> Self {
        self.row_max = Some(row_max);
        self
    }

    /// Keeps repeated interactions of positive weight beside the rows, for models of order.
    #[must_use]
    pub fn with_repeats(mut self) -> Self {
        self.keeps_repeats = true;
        self
    }

    /// Adds an item and returns its index.
    pub fn push_item(&mut self, id: &str) -> u32 {
        self.item_ids.push(id)
    }

    /// Adds a user without interactions and returns its index.
    pub fn push_user(&mut self) -> u32 {
        self.users += 1;
        self.users - 1
    }

    /// Adds an interaction. Unknown items and non-finite weights are ignored; a new user index
    /// makes all users up to it exist.
    pub fn push(&mut self, user: u32, item: u32, weight: f32, time_s: u32) {
        if (item as usize) < self.item_ids.len() && weight.is_finite() {
            self.users = self.users.max(user + 1);
            self.entries.push(Entry {
                user,
                item,
                weight,
                time_s,
            });
        }
    }

    /// Number of entries so far, before pairs are summed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sums repeated pairs (weight: sum, time: latest, pairs that sum to 0 vanish) and sorts each
    /// row by time, equal times in the order they were pushed.
    #[must_use]
    pub fn build(mut self) -> Interactions {
        let sequences = self.keeps_repeats.then(|| self.sequences());
        // The sort is stable, so equal pairs stay in the order they were pushed and float sums
        // depend on the input alone.
        let mut order: Vec<(Entry, u32)> = self.entries.drain(..).zip(0_u32..).collect();
        order.sort_by_key(|(entry, _)| (entry.user, entry.item));
        let mut merged: Vec<(Entry, u32)> = Vec::with_capacity(order.len());
        for (entry, position) in order {
            match merged.last_mut() {
                Some((last, at)) if (last.user, last.item) == (entry.user, entry.item) => {
                    last.weight += entry.weight;
                    if entry.time_s >= last.time_s {
                        last.time_s = entry.time_s;
                        *at = position;
                    }
                }
                _ => merged.push((entry, position)),
            }
        }
        merged.retain(|(entry, _)| entry.weight != 0.0 && entry.weight.is_finite());
        merged.sort_unstable_by_key(|(entry, at)| (entry.user, entry.time_s, *at));
        if let Some(row_max) = self.row_max {
            merged = newest_of_rows(&merged, row_max);
        }

        let mut starts = vec![0_usize; self.users as usize + 1];
        for (entry, _) in &merged {
            starts[entry.user as usize + 1] += 1;
        }
        for u in 1..starts.len() {
            starts[u] += starts[u - 1];
        }
        Interactions {
            item_ids: self.item_ids,
            contents: Vec::new(),
            starts,
            items: merged.iter().map(|(e, _)| e.item).collect(),
            weights: merged.iter().map(|(e, _)| e.weight).collect(),
            times_s: merged.iter().map(|(e, _)| e.time_s).collect(),
            sequences,
            slot_outcomes: SlotOutcomes::default(),
        }
    }

    fn sequences(&self) -> Sequences {
        let mut order: Vec<&Entry> = self.entries.iter().filter(|e| e.weight > 0.0).collect();
        order.sort_by_key(|entry| (entry.user, entry.time_s));
        let mut kept = Sequences {
            starts: vec![0; self.users as usize + 1],
            ..Sequences::default()
        };
        for row in order.chunk_by(|a, b| a.user == b.user) {
            let oldest = self.row_max.map_or(0, |max| row.len().saturating_sub(max));
            for entry in &row[oldest..] {
                kept.starts[entry.user as usize + 1] += 1;
                kept.items.push(entry.item);
                kept.times_s.push(entry.time_s);
            }
        }
        for u in 1..kept.starts.len() {
            kept.starts[u] += kept.starts[u - 1];
        }
        kept
    }
}

/// The last `row_max` entries of each run of one user.
fn newest_of_rows(sorted: &[(Entry, u32)], row_max: usize) -> Vec<(Entry, u32)> {
    let rows = sorted.chunk_by(|(a, _), (b, _)| a.user == b.user);
    let newest = rows.flat_map(|row| &row[row.len().saturating_sub(row_max)..]);
    newest.copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_keeps_its_newest_entries() {
        let mut builder =
            InteractionsBuilder::new(["a", "b", "c"].into_iter().collect()).with_row_max(2);
        for (item, time_s) in [(2, 5), (0, 9), (1, 7)] {
            builder.push(0, item, 1.0, time_s);
        }
        assert_eq!(builder.build().row(0).items, &[1, 0]);
    }

    #[test]
    fn a_sequence_keeps_order_and_repeats_if_asked() {
        let sequence_of = |keeps_repeats: bool| {
            let mut builder = InteractionsBuilder::new(["a", "b", "c"].into_iter().collect());
            if keeps_repeats {
                builder = builder.with_repeats().with_row_max(4);
            }
            for item in [2, 0, 2, 1, 2] {
                builder.push(1, item, 1.0, 0);
            }
            builder.push(1, 0, -0.5, 0);
            let data = builder.build();
            assert!(data.sequence(0).items.is_empty());
            data.sequence(1).items.to_vec()
        };
        assert_eq!(
            sequence_of(true),
            [0, 2, 1, 2],
            "the newest four that were liked"
        );
        assert_eq!(
            sequence_of(false),
            [1, 2, 0],
            "one entry an item, by its last time"
        );
    }

    fn built() -> Interactions {
        let mut builder = InteractionsBuilder::new(["a", "b", "c"].into_iter().collect());
        builder.push(1, 2, 1.0, 30);
        builder.push(1, 0, 1.0, 20);
        builder.push(1, 2, 0.5, 10);
        builder.push(1, 1, 2.0, 5);
        builder.push(1, 1, -2.0, 6);
        builder.push(0, 9, 1.0, 1);
        builder.push(3, 0, f32::NAN, 1);
        builder.push(2, 0, -1.0, 1);
        builder.build()
    }

    #[test]
    fn pairs_are_summed_and_rows_are_in_time_order() {
        let data = built();
        assert_eq!((data.users_len(), data.items_len(), data.len()), (3, 3, 3));
        let row = data.row(1);
        assert_eq!(row.items, &[0, 2], "item 1 summed to nothing");
        assert_eq!(row.weights, &[1.0, 1.5]);
        assert_eq!(row.times_s, &[20, 30], "the latest time of the pair");
        assert!(data.row(0).items.is_empty(), "an unknown item is ignored");
    }

    #[test]
    fn the_transpose_holds_the_same_entries() {
        let by_item = built().transposed();
        assert_eq!(by_item.row(0), (&[1_u32, 2][..], &[1.0_f32, -1.0][..]));
        assert_eq!(by_item.row(1).0.len(), 0);
        assert_eq!(by_item.row(2), (&[1_u32][..], &[1.5_f32][..]));
    }
}
