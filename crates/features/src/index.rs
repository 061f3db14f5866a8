//! From a 64-bit hash to a dense number: the map behind users, items and names.
//!
//! Open addressing with linear probing over (32-bit tag, number) slots of 8 bytes, so that growing
//! needs no look at the entries themselves and a lookup can be prefetched. Capacity grows by half
//! and the load stays below 4/5: about 12 bytes per entry. Keys are compared by the caller. Slot
//! order never reaches a result.

use crate::kernels::prefetch;

/// The number that marks a free slot.
const FREE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Slot {
    tag: u32,
    number: u32,
}

const EMPTY: Slot = Slot {
    tag: 0,
    number: FREE,
};

/// A multimap from hashes to numbers below `u32::MAX`.
#[derive(Debug, Default)]
pub(crate) struct Index {
    slots: Vec<Slot>,
    len: usize,
}

const fn tag_of(hash: u64) -> u32 {
    (hash >> 32) as u32
}

impl Index {
    /// The slot where the search for a tag begins: slots are in the order of tags.
    fn home(&self, tag: u32) -> usize {
        ((u64::from(tag) * self.slots.len() as u64) >> 32) as usize
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() {
            0
        } else {
            at + 1
        }
    }

    /// Asks for the slot of a hash to be loaded.
    pub(crate) fn prefetch(&self, hash: u64) {
        if let Some(slot) = self.slots.get(self.home(tag_of(hash))) {
            prefetch(slot);
        }
    }

    /// The number of this hash for which `is_match` holds.
    pub(crate) fn find(&self, hash: u64, mut is_match: impl FnMut(u32) -> bool) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        let tag = tag_of(hash);
        let mut at = self.home(tag);
        loop {
            let slot = self.slots[at];
            if slot.number == FREE {
                return None;
            }
            if slot.tag == tag && is_match(slot.number) {
                return Some(slot.number);
            }
            at = self.after(at);
        }
    }

    /// Adds a number under a hash.
    pub(crate) fn insert(&mut self, hash: u64, number: u32) {
        if (self.len + 1) * 5 > self.slots.len() * 4 {
            self.grow();
        }
        self.place(Slot {
            tag: tag_of(hash),
            number,
        });
        self.len += 1;
    }

    fn place(&mut self, slot: Slot) {
        let mut at = self.home(slot.tag);
        while self.slots[at].number != FREE {
            at = self.after(at);
        }
        self.slots[at] = slot;
    }

    fn grow(&mut self) {
        let capacity = self.slots.len() * 3 / 2 + 16;
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; capacity]);
        for slot in old.into_iter().filter(|slot| slot.number != FREE) {
            self.place(slot);
        }
    }

    /// Removes a number; later slots of its run move up, so no tombstones are left.
    pub(crate) fn remove(&mut self, hash: u64, number: u32) {
        if self.len == 0 {
            return;
        }
        let tag = tag_of(hash);
        let mut hole = self.home(tag);
        while self.slots[hole].number != number {
            if self.slots[hole].number == FREE {
                return;
            }
            hole = self.after(hole);
        }
        self.len -= 1;
        let mut at = self.after(hole);
        while self.slots[at].number != FREE {
            let home = self.home(self.slots[at].tag);
            let stays = if hole <= at {
                hole < home && home <= at
            } else {
                hole < home || home <= at
            };
            if !stays {
                self.slots[hole] = self.slots[at];
                hole = at;
            }
            at = self.after(at);
        }
        self.slots[hole] = EMPTY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_behaves_like_a_map(steps in prop::collection::vec((any::<bool>(), 0_u64..60), 0..400)) {
            // Few distinct tags, so that runs are long and wrap around.
            let hash = |key: u64| (key % 13) << 60 | (key % 3) << 32;
            let mut index = Index::default();
            let mut expected = BTreeMap::new();
            for (is_insert, key) in steps {
                let number = key as u32;
                if is_insert && expected.insert(key, number).is_none() {
                    index.insert(hash(key), number);
                } else if !is_insert && expected.remove(&key).is_some() {
                    index.remove(hash(key), number);
                }
                for key in 0..60 {
                    let found = index.find(hash(key), |n| u64::from(n) == key);
                    prop_assert_eq!(found, expected.get(&key).copied());
                }
            }
        }
    }
}
