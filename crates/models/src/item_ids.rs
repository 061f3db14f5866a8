//! The item ids a model knows, in one allocation: dense index to text.

use std::collections::HashMap;

/// Item ids by dense index, stored end to end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ItemIds {
    text: String,
    /// End of each id within `text`; the start is the end of the one before.
    ends: Vec<u32>,
}

impl ItemIds {
    /// Number of ids.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The id behind an index.
    #[must_use]
    pub fn get(&self, item: u32) -> Option<&str> {
        let i = item as usize;
        let end = *self.ends.get(i)? as usize;
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        self.text.get(start..end)
    }

    /// Every id in the order of its index.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.ends.len()).map(|i| self.get(i as u32).expect("index is below len"))
    }

    /// Adds an id and returns its index. Ids are not compared: the caller keeps them distinct.
    ///
    /// # Panics
    /// When the ids together pass 4 GiB.
    pub fn push(&mut self, id: &str) -> u32 {
        self.text.push_str(id);
        let end = u32::try_from(self.text.len()).expect("item ids stay below 4 GiB");
        self.ends.push(end);
        (self.ends.len() - 1) as u32
    }

    /// A table from id to index. The first of equal ids wins.
    #[must_use]
    pub fn to_index(&self) -> HashMap<&str, u32> {
        let mut index = HashMap::with_capacity(self.len());
        for (i, id) in self.iter().enumerate() {
            index.entry(id).or_insert(i as u32);
        }
        index
    }

    /// Bytes held on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * 4
    }
}

impl<S: AsRef<str>> FromIterator<S> for ItemIds {
    fn from_iter<I: IntoIterator<Item = S>>(ids: I) -> Self {
        let mut all = Self::default();
        for id in ids {
            all.push(id.as_ref());
        }
        all.text.shrink_to_fit();
        all.ends.shrink_to_fit();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_by_index_and_by_text() {
        let ids: ItemIds = ["a", "", "äöü", "b"].into_iter().collect();
        assert_eq!(
            ids.iter().collect::<Vec<_>>(),
            vec!["a", "", "äöü", "b"],
            "in order"
        );
        assert_eq!(ids.get(2), Some("äöü"));
        assert_eq!(ids.get(4), None);
        assert_eq!(ids.to_index()["b"], 3);
    }
}
