//! Sessions by item and items by session, growing at the end.
//!
//! A session is appended in time proportional to its length; sessions are numbered in the order
//! they were appended, which is taken as their order in time. It forgets nothing.

/// The index: append-only.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionIndex {
    /// Session `q` is `ends[q - 1]..ends[q]` of `items`.
    ends: Vec<u32>,
    items: Vec<u32>,
    /// Sessions that hold each item, ascending, distinct.
    sessions: Vec<Vec<u32>>,
}

impl SessionIndex {
    /// An empty index of this many items.
    #[must_use]
    pub fn new(items_len: usize) -> Self {
        Self {
            sessions: vec![Vec::new(); items_len],
            ..Self::default()
        }
    }

    /// Appends a session, its items in order. Unknown items are left out; without known items, or
    /// when 2³² entries are held, nothing happens.
    pub fn push(&mut self, items: &[u32]) {
        let number = self.ends.len() as u32;
        let before = self.items.len();
        let is_full = u32::try_from(before + items.len()).is_err() || number == u32::MAX;
        let known = self.sessions.len();
        if is_full {
            return;
        }
        for &item in items.iter().filter(|item| (**item as usize) < known) {
            self.items.push(item);
            let holders = &mut self.sessions[item as usize];
            if holders.last() != Some(&number) {
                holders.push(number);
            }
        }
        if self.items.len() > before {
            self.ends.push(self.items.len() as u32);
        }
    }

    /// Number of sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The items of a session in order; none for an unknown number.
    #[must_use]
    pub fn session(&self, number: u32) -> &[u32] {
        let at = number as usize;
        let Some(&end) = self.ends.get(at) else {
            return &[];
        };
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.items[start as usize..end as usize]
    }

    /// The sessions that hold an item, ascending; none for an unknown item.
    #[must_use]
    pub fn holders(&self, item: u32) -> &[u32] {
        self.sessions.get(item as usize).map_or(&[], Vec::as_slice)
    }

    pub(super) fn raw(&self) -> (&[u32], &[u32]) {
        (&self.ends, &self.items)
    }

    /// Heap bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let holders: usize = self.sessions.iter().map(|list| list.capacity() * 4).sum();
        let fixed = self.sessions.capacity() * size_of::<Vec<u32>>();
        self.ends.capacity() * 4 + self.items.capacity() * 4 + holders + fixed
    }
}
