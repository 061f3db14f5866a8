//! Items that a trained model has never met, placed among its own by their content: how an item
//! without any event is scored by a model of behaviour.
//!
//! Each model has its own, for as long as it serves; the next training takes over those that have
//! been met meanwhile. Positions are kept for a bounded number of items, those that the process
//! has heard of last, and a scan looks at all of them.

use crate::model_set::LoadedModel;
use nowcast_models::top_k::TopK;
use nowcast_models::{ContentMap, ItemContent, Prepared, Scored};
use nowcast_store::{Catalog, ItemIdx};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;

/// Items placed at once; more cost each request more than they bring. 8 MiB at 256 factors.
const NEWCOMERS_MAX: usize = 8192;

/// Items placed between two locks, so that requests never wait long.
const ITEMS_PER_LOCK: usize = 64;

/// The placed items of one model.
#[derive(Debug, Default)]
pub(crate) struct Newcomers {
    placed: RwLock<Placed>,
    /// The catalogue's change counter up to which they are, held by whoever brings them further.
    followed: Mutex<u64>,
}

#[derive(Debug, Default)]
struct Placed {
    /// Values of a vector; 0 before the first.
    side: usize,
    items: Vec<ItemIdx>,
    vectors: Vec<f32>,
    rows: HashMap<ItemIdx, usize>,
    /// The row that the next item takes when all are taken.
    next: usize,
}

impl Placed {
    fn vector(&self, item: ItemIdx) -> Option<&[f32]> {
        let start = self.rows.get(&item)? * self.side;
        self.vectors.get(start..start + self.side)
    }

    fn put(&mut self, item: ItemIdx, vector: &[f32]) {
        self.side = vector.len();
        let row = if let Some(row) = self.rows.get(&item) {
            *row
        } else if self.items.len() < NEWCOMERS_MAX {
            self.items.push(item);
            self.vectors.resize(self.items.len() * self.side, 0.0);
            self.items.len() - 1
        } else {
            let row = self.next % NEWCOMERS_MAX;
            self.next = row + 1;
            self.rows.remove(&self.items[row]);
            self.items[row] = item;
            row
        };
        self.rows.insert(item, row);
        self.vectors[row * self.side..][..self.side].copy_from_slice(vector);
    }

    fn remove(&mut self, item: ItemIdx) {
        let Some(row) = self.rows.remove(&item) else {
            return;
        };
        let last = self.items.len() - 1;
        self.items.swap_remove(row);
        let end = last * self.side;
        self.vectors
            .copy_within(end..end + self.side, row * self.side);
        self.vectors.truncate(end);
        if let Some(moved) = self.items.get(row) {
            self.rows.insert(*moved, row);
        }
    }
}

impl Newcomers {
    /// Takes over what changed in the catalogue since the last call.
    pub(crate) fn follow(&self, loaded: &LoadedModel, catalog: &Catalog) {
        let Some(map) = loaded.model().content_map() else {
            return;
        };
        let mut followed = self.followed.lock();
        let changes = catalog.changes_since(*followed);
        let unmet = changes.items.iter().copied();
        let unmet: Vec<ItemIdx> = unmet.filter(|i| loaded.to_model(*i).is_none()).collect();
        // Numbers are given in the order of arrival: the last are the newest.
        let newest = &unmet[unmet.len().saturating_sub(NEWCOMERS_MAX)..];
        for items in newest.chunks(ITEMS_PER_LOCK) {
            let place = |item: &ItemIdx| {
                let row = catalog.item(*item)?;
                map.place(&ItemContent::from_item(&row))
            };
            let vectors: Vec<_> = items.iter().map(|item| (*item, place(item))).collect();
            let mut placed = self.placed.write();
            for (item, vector) in vectors {
                match vector {
                    Some(vector) => placed.put(item, &vector),
                    None => placed.remove(item),
                }
            }
        }
        *followed = changes.upto;
    }

    /// Adds the scores of those of `items` that are placed to `out`.
    pub(crate) fn score(
        &self,
        (map, prepared): (&ContentMap, &Prepared),
        items: &[Option<ItemIdx>],
        out: &mut [f32],
    ) {
        let placed = self.placed.read();
        if placed.items.is_empty() {
            return;
        }
        for (item, out) in items.iter().zip(out) {
            if let Some(vector) = item.and_then(|item| placed.vector(item)) {
                *out = map.score(prepared, vector);
            }
        }
    }

    /// Replaces `out` by the at most `k` best that `admit` accepts and whose score is positive, best
    /// first.
    pub(crate) fn retrieve(
        &self,
        (map, prepared): (&ContentMap, &Prepared),
        k: usize,
        admit: &dyn Fn(ItemIdx) -> bool,
        out: &mut Vec<Scored>,
    ) {
        let placed = self.placed.read();
        let mut best = TopK::new(k);
        let vectors = placed.vectors.chunks_exact(placed.side.max(1));
        for (item, vector) in placed.items.iter().zip(vectors) {
            let score = map.score(prepared, vector);
            if score > 0.0 && score >= best.threshold() && admit(*item) {
                best.push(item.0, score);
            }
        }
        best.finish_into(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room_and_what_goes_leaves_the_others_in_place() {
        let mut placed = Placed::default();
        let vector = |item: u32| [item as f32, 1.0];
        for item in 0..NEWCOMERS_MAX as u32 + 2 {
            placed.put(ItemIdx(item), &vector(item));
        }
        let last = NEWCOMERS_MAX as u32 + 1;
        assert_eq!(placed.items.len(), NEWCOMERS_MAX);
        assert_eq!(placed.vector(ItemIdx(0)), None);
        assert_eq!(placed.vector(ItemIdx(last)), Some(&vector(last)[..]));
        placed.remove(ItemIdx(5));
        placed.remove(ItemIdx(5));
        placed.put(ItemIdx(7), &[9.0, 9.0]);
        assert_eq!(placed.vector(ItemIdx(7)), Some(&[9.0, 9.0][..]));
        for item in (2..=last).filter(|item| ![5, 7].contains(item)) {
            assert_eq!(placed.vector(ItemIdx(item)), Some(&vector(item)[..]));
        }
        assert_eq!(placed.vectors.len(), 2 * placed.items.len());
    }
}
