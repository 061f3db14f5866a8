//! What is counted besides users and items: categories, segments, items within segments, and
//! everything at once. Each kind is a table of rows that only grows, found by key.

use crate::decay::Decayed;
use crate::index::Index;
use nowcast_types::stable_hash::stable_hash;

/// Bytes that the budget counts for a row beside its name and words.
const BASE_BYTES: u64 = size_of::<Group>() as u64 + 32;

/// One row. Rows without use for a name or for popularity leave them empty.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// The string of a category or segment.
    pub(crate) name: Box<str>,
    /// The item and the segment of an item within a segment.
    pub(crate) pair: [u32; 2],
    pub(crate) trending: Decayed,
    pub(crate) popular: Decayed,
    /// The tiles of the views.
    pub(crate) words: Vec<u32>,
    is_dirty: bool,
}

impl Group {
    fn bytes(&self) -> u64 {
        BASE_BYTES + self.name.len() as u64 + 4 * self.words.len() as u64
    }

    fn hash(&self) -> u64 {
        if self.name.is_empty() {
            hash_of_pair(self.pair)
        } else {
            stable_hash(self.name.as_bytes(), 0)
        }
    }
}

fn hash_of_pair(pair: [u32; 2]) -> u64 {
    let bits = u64::from(pair[0]) << 32 | u64::from(pair[1]);
    stable_hash(&bits.to_le_bytes(), 1)
}

/// A table of rows of one kind.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    rows: Vec<Group>,
    index: Index,
    bytes: u64,
    dirty: Vec<u32>,
}

impl Groups {
    pub(crate) const fn len(&self) -> u32 {
        self.rows.len() as u32
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Group> {
        self.rows.get(number as usize)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.rows.iter()
    }

    pub(crate) fn find_name(&self, name: &str) -> Option<u32> {
        let hash = stable_hash(name.as_bytes(), 0);
        self.index
            .find(hash, |number| &*self.rows[number as usize].name == name)
    }

    pub(crate) fn find_pair(&self, pair: [u32; 2]) -> Option<u32> {
        self.index.find(hash_of_pair(pair), |number| {
            self.rows[number as usize].pair == pair
        })
    }

    /// The number of a name (not empty), given now if it is new.
    pub(crate) fn intern_name(&mut self, name: &str) -> u32 {
        self.find_name(name).unwrap_or_else(|| {
            self.insert(Group {
                name: name.into(),
                ..Group::default()
            })
        })
    }

    /// The number of a pair, given now if it is new.
    pub(crate) fn intern_pair(&mut self, pair: [u32; 2]) -> u32 {
        self.find_pair(pair).unwrap_or_else(|| {
            self.insert(Group {
                pair,
                ..Group::default()
            })
        })
    }

    fn insert(&mut self, group: Group) -> u32 {
        let number = self.restore(group);
        self.mark(number);
        number
    }

    fn mark(&mut self, number: u32) -> &mut Group {
        let row = &mut self.rows[number as usize];
        if !row.is_dirty {
            row.is_dirty = true;
            self.dirty.push(number);
        }
        row
    }

    /// Changes a row.
    pub(crate) fn change(&mut self, number: u32, change: impl FnOnce(&mut Group)) {
        let row = self.mark(number);
        let before = row.bytes();
        change(row);
        let after = row.bytes();
        self.bytes = self.bytes - before + after;
    }

    /// Rows changed since the last call.
    pub(crate) fn take_dirty(&mut self) -> Vec<u32> {
        let dirty = std::mem::take(&mut self.dirty);
        for number in &dirty {
            self.rows[*number as usize].is_dirty = false;
        }
        dirty
    }

    /// Puts a newer version of a row in the place of the one with the same number and key; `false`
    /// if there is none.
    pub(crate) fn replace(&mut self, number: u32, group: Group) -> bool {
        let is_same = |row: &&mut Group| row.name == group.name && row.pair == group.pair;
        let Some(row) = self.rows.get_mut(number as usize).filter(is_same) else {
            return false;
        };
        self.bytes = self.bytes - row.bytes() + group.bytes();
        *row = group;
        true
    }

    /// Appends a row with the next number.
    pub(crate) fn restore(&mut self, group: Group) -> u32 {
        let number = self.len();
        self.bytes += group.bytes();
        self.index.insert(group.hash(), number);
        self.rows.push(group);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_pairs_keep_their_numbers() {
        let mut groups = Groups::default();
        assert_eq!(groups.intern_name("shoes"), 0);
        assert_eq!(groups.intern_name("hats"), 1);
        assert_eq!(groups.intern_name("shoes"), 0);
        let mut pairs = Groups::default();
        assert_eq!(pairs.intern_pair([1, 2]), 0);
        assert_eq!(pairs.intern_pair([2, 1]), 1);
        assert_eq!(pairs.find_pair([2, 1]), Some(1));
    }
}
