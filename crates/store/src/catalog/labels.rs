//! Names that repeat over many items (categories, tags, attribute names), as small numbers.
//!
//! A label lives as long as the process: its number is never given to another name, so numbers
//! may be kept outside any lock. Numbers are not persisted.

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use std::sync::Arc;

/// A category, tag or attribute name; each kind counts from 0 on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelIdx(pub u32);

/// A growing two-way table of names. Keyed hashing, because names come from outside.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    numbers: HashTable<u32>,
    names: Vec<Arc<str>>,
    hasher: RandomState,
    name_bytes: usize,
}

impl Labels {
    /// The number of `name`, if it has one.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.numbers
            .find(self.hasher.hash_one(name), |number| {
                &*self.names[*number as usize] == name
            })
            .copied()
    }

    /// The number of `name`, given now if it has none.
    ///
    /// # Panics
    /// When four billion names are in use, which memory forbids long before.
    pub(crate) fn intern(&mut self, name: &str) -> u32 {
        if let Some(number) = self.find(name) {
            return number;
        }
        let number = u32::try_from(self.names.len()).expect("fewer than 2^32 names fit in memory");
        self.names.push(Arc::from(name));
        self.name_bytes += name.len();
        let (names, hasher) = (&self.names, &self.hasher);
        self.numbers
            .insert_unique(hasher.hash_one(name), number, |other| {
                hasher.hash_one(&*names[*other as usize])
            });
        number
    }

    /// The name behind a number.
    pub(crate) fn name(&self, number: u32) -> Option<&Arc<str>> {
        self.names.get(number as usize)
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Bytes held: the strings with their reference counts, and both directions of the table.
    pub(crate) fn bytes(&self) -> usize {
        const ARC_HEADER: usize = 16;
        let per_name = size_of::<Arc<str>>() + ARC_HEADER;
        self.name_bytes + self.names.capacity() * per_name + self.numbers.capacity() * 5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number_while_the_table_grows() {
        let mut labels = Labels::default();
        let first: Vec<u32> = (0..1000).map(|i| labels.intern(&format!("n{i}"))).collect();
        let again: Vec<u32> = (0..1000).map(|i| labels.intern(&format!("n{i}"))).collect();
        assert_eq!(first, again);
        assert_eq!(labels.len(), 1000);
        assert_eq!(labels.name(7).map(|n| &**n), Some("n7"));
        assert_eq!(labels.find("n1000"), None);
    }
}
