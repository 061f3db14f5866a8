//! The categories of recently seen items, one cache line away.
//!
//! Looking an item up in the catalogue walks seven places in memory; at ingest rates those misses
//! cost more than parsing the event. The cache is a two-way table without locks: each entry
//! carries its key xored with its value, so an entry torn between two writers matches neither (the
//! scheme of R. Hyatt and T. Mann's lockless transposition table, 2002). The key is a 64-bit hash
//! of the item, under a random seed, and of the catalogue's change counter, so every change of the
//! catalogue empties the cache. Two items share a key with probability 2^-64 per look-up.

use nowcast_store::{CatalogReader, LabelIdx};
use nowcast_types::event::CATEGORIES_MAX;
use nowcast_types::stable_hash::stable_hash;
use std::sync::atomic::{AtomicU64, Ordering};

/// Pairs of entries, 64 bytes each: 4 MiB hold the categories of some 100,000 items.
const PAIRS: usize = 1 << 16;

/// Stands for "no further category".
const NONE: u32 = u32::MAX;

/// Category numbers of one item, the most important first.
type Labels = [u32; CATEGORIES_MAX];

#[derive(Default)]
struct Entry {
    key_and_value: AtomicU64,
    low: AtomicU64,
    high: AtomicU64,
}

/// Two entries in one cache line.
#[derive(Default)]
#[repr(align(64))]
struct Pair([Entry; 2]);

/// The cache. It never answers with what the catalogue has not said since `changes`.
pub(crate) struct CategoryCache {
    pairs: Box<[Pair]>,
    seed: u64,
}

impl CategoryCache {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            pairs: (0..PAIRS).map(|_| Pair::default()).collect(),
            seed,
        }
    }

    /// Looks an item up in the cache alone. Calls for the items of a batch, one right after the
    /// other, wait for memory together instead of one by one. `changes` is the catalogue's change
    /// counter, read before the catalogue is locked.
    pub(crate) fn peek(&self, item_id: &str, changes: u64) -> Peeked {
        let key = stable_hash(item_id.as_bytes(), self.seed ^ changes);
        let Pair([first, second]) = self.pair(key);
        let labels = first.read(key).or_else(|| second.read(key));
        Peeked { key, labels }
    }

    /// The categories of the item that was peeked at, from the catalogue if the cache had none.
    pub(crate) fn categories(
        &self,
        peeked: Peeked,
        item_id: &str,
        catalog: &CatalogReader<'_>,
    ) -> impl Iterator<Item = LabelIdx> + use<> {
        let labels = peeked.labels.unwrap_or_else(|| {
            let labels = look_up(item_id, catalog);
            self.pair(peeked.key).write(peeked.key, labels);
            labels
        });
        let known = labels.into_iter().take_while(|label| *label != NONE);
        known.map(LabelIdx)
    }

    fn pair(&self, key: u64) -> &Pair {
        &self.pairs[key as usize % PAIRS]
    }
}

/// What the cache knew of an item.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peeked {
    key: u64,
    labels: Option<Labels>,
}

impl Pair {
    /// Takes an entry never used, or else one picked by a bit that the place does not use.
    fn write(&self, key: u64, labels: Labels) {
        let Self([first, second]) = self;
        let is_unused = |entry: &Entry| entry.key_and_value.load(Ordering::Relaxed) == 0;
        let picked = if key >> 63 == 0 { first } else { second };
        let unused = [first, second].into_iter().find(|entry| is_unused(entry));
        unused.unwrap_or(picked).write(key, labels);
    }
}

impl Entry {
    fn read(&self, key: u64) -> Option<Labels> {
        let low = self.low.load(Ordering::Relaxed);
        let high = self.high.load(Ordering::Relaxed);
        let stored_key = self.key_and_value.load(Ordering::Relaxed) ^ low ^ high;
        let halves = |word: u64| [word as u32, (word >> 32) as u32];
        let ([a, b], [c, d]) = (halves(low), halves(high));
        // An entry never written is all zeros, which would be the key 0 with category 0.
        (stored_key == key && key != 0).then_some([a, b, c, d])
    }

    fn write(&self, key: u64, [a, b, c, d]: Labels) {
        let word = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let (low, high) = (word(a, b), word(c, d));
        self.low.store(low, Ordering::Relaxed);
        self.high.store(high, Ordering::Relaxed);
        self.key_and_value
            .store(key ^ low ^ high, Ordering::Relaxed);
    }
}

fn look_up(item_id: &str, catalog: &CatalogReader<'_>) -> Labels {
    let mut labels = [NONE; CATEGORIES_MAX];
    let row = catalog.find(item_id).and_then(|item| catalog.row(item));
    let categories = row.into_iter().flat_map(|row| &row.categories);
    for (place, label) in labels.iter_mut().zip(categories) {
        *place = label.0;
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_store::Catalog;
    use nowcast_types::{ItemChange, Timestamp};

    fn put(catalog: &Catalog, item_id: &str, categories: &str) {
        let json = format!(r#"{{"categories":[{categories}]}}"#);
        let change = ItemChange {
            item_id,
            at: Timestamp(0),
            item: Some(&json),
        };
        catalog.apply(&change).unwrap();
    }

    fn names(cache: &CategoryCache, catalog: &Catalog, item_id: &str) -> Vec<String> {
        let changes = catalog.changes();
        let reader = catalog.read();
        let peeked = cache.peek(item_id, changes);
        let labels = cache.categories(peeked, item_id, &reader);
        let name = |label| reader.category_name(label).unwrap().to_owned();
        labels.map(name).collect()
    }

    #[test]
    fn every_change_of_the_catalogue_shows_at_once() {
        let (cache, catalog) = (CategoryCache::new(9), Catalog::new());
        for round in 0..50 {
            for item in 0..50 {
                let item_id = format!("i{item}");
                assert_eq!(
                    names(&cache, &catalog, &item_id).len(),
                    usize::from(round > 0) * 2
                );
            }
            for item in 0..50 {
                put(&catalog, &format!("i{item}"), &format!(r#""a{round}","b""#));
            }
            let expected = [format!("a{round}"), "b".to_owned()];
            assert_eq!(names(&cache, &catalog, "i7"), expected);
            assert_eq!(names(&cache, &catalog, "i7"), expected, "from the cache");
        }
    }

    #[test]
    fn an_entry_torn_between_two_writers_matches_neither() {
        let entry = Entry::default();
        assert_eq!(entry.read(1), None);
        entry.write(1, [5, 6, NONE, NONE]);
        assert_eq!(entry.read(1), Some([5, 6, NONE, NONE]));
        assert_eq!(entry.read(2), None);
        // Another writer has stored its low word and was interrupted.
        entry.low.store(77, Ordering::Relaxed);
        assert_eq!((entry.read(1), entry.read(2)), (None, None));
    }
}
