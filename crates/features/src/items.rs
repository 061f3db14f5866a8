//! The items of a partition: numbers for ids, popularity, tiles and neighbours.
//!
//! Items are never forgotten, since histories name them by number; when the budget is short their
//! tiles and neighbours are released. Nothing here is personal: sums over users, and sketches that
//! keep 16 bits of a user's hash. So erasing a user leaves items as they are.

use crate::decay::{Decayed, Scale};
use crate::index::Index;
use crate::kernels::{prefetch, prefetch_row};
use crate::slab::Slab;
use crate::weights::{self, Bounds};
use crate::words::Partial;

/// Bytes that the budget counts for an item with nothing but its id: row, index, slack.
const BASE_BYTES: u64 = size_of::<Item>() as u64 + 24;

/// One item: two cache lines, the first with all that pairing it with another needs.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Item {
    /// Co-visitation neighbours, as decaying weights.
    pub(crate) neighbours: Vec<u32>,
    /// Block 0: popularity by segment. Then the tiles of the views of items.
    pub(crate) words: Vec<u32>,
    is_dirty: bool,
    /// Lap of the eviction clock in which the row was last touched.
    pub(crate) lap: u8,
    pub(crate) id: Box<str>,
    pub(crate) trending: Decayed,
    pub(crate) popular: Decayed,
}

impl Item {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            ..Self::default()
        }
    }

    /// Bytes that the budget could have back.
    pub(crate) const fn releasable(&self) -> u64 {
        4 * (self.words.len() + self.neighbours.len()) as u64
    }

    pub(crate) const fn bytes(&self) -> u64 {
        BASE_BYTES + self.id.len() as u64 + self.releasable()
    }
}

/// All items of a partition.
#[derive(Debug, Default)]
pub(crate) struct Items {
    rows: Slab<Item>,
    index: Index,
    bytes: u64,
    releasable: u64,
    dirty: Vec<u32>,
}

impl Items {
    pub(crate) const fn len(&self) -> u32 {
        self.rows.len()
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) const fn releasable(&self) -> u64 {
        self.releasable
    }

    pub(crate) fn prefetch_index(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// Guesses the item of a hash from its tag and asks for the row.
    pub(crate) fn guess(&self, hash: u64) -> Option<u32> {
        let number = self.index.find(hash, |_| true)?;
        self.prefetch_row(number);
        Some(number)
    }

    /// Asks for the half of a row that pairing needs.
    pub(crate) fn prefetch_half(&self, number: u32) {
        if let Some(row) = self.rows.get(number) {
            prefetch(row);
        }
    }

    /// Asks for a row.
    fn prefetch_row(&self, number: u32) {
        if let Some(row) = self.rows.get(number) {
            prefetch_row(row);
        }
    }

    pub(crate) fn find(&self, hash: u64, id: &str) -> Option<u32> {
        self.index.find(hash, |number| &*self.rows[number].id == id)
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Item> {
        self.rows.get(number)
    }

    /// Finds an item, trying `guess` first, or gives it the next number.
    pub(crate) fn intern(&mut self, hash: u64, id: &str, guess: Option<u32>) -> u32 {
        if let Some(number) = guess
            && self.get(number).is_some_and(|item| &*item.id == id)
        {
            return number;
        }
        if let Some(number) = self.find(hash, id) {
            return number;
        }
        let number = self.restore(hash, Item::new(id));
        self.mark(number);
        number
    }

    fn mark(&mut self, number: u32) -> &mut Item {
        let item = &mut self.rows[number];
        if !item.is_dirty {
            item.is_dirty = true;
            self.dirty.push(number);
        }
        item
    }

    /// Changes an item in clock lap `lap`.
    pub(crate) fn change(&mut self, number: u32, lap: u8, change: impl FnOnce(&mut Item)) {
        let item = self.mark(number);
        item.lap = lap;
        let before = item.releasable();
        change(item);
        let after = item.releasable();
        self.bytes = self.bytes - before + after;
        self.releasable = self.releasable - before + after;
    }

    /// Adds to the weight of `neighbour` beside `item`.
    pub(crate) fn add_neighbour(
        &mut self,
        (item, neighbour): (u32, u32),
        lap: u8,
        bounds: &Bounds,
        scale: Scale,
        weight: f32,
    ) {
        self.change(item, lap, |row| {
            let mut run = Partial::whole(&mut row.neighbours);
            weights::add(&mut run, bounds, scale, neighbour, weight);
        });
    }

    /// Releases tiles and neighbours of an item.
    pub(crate) fn release(&mut self, number: u32) {
        let lap = self.rows[number].lap;
        self.change(number, lap, |item| {
            item.words = Vec::new();
            item.neighbours = Vec::new();
        });
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Item> {
        self.rows.iter()
    }

    /// Items changed since the last call.
    pub(crate) fn take_dirty(&mut self) -> Vec<u32> {
        let dirty = std::mem::take(&mut self.dirty);
        for number in &dirty {
            self.rows[*number].is_dirty = false;
        }
        dirty
    }

    /// Puts a newer version of an item in the place of the one with the same number and id; `false`
    /// if there is none.
    pub(crate) fn replace(&mut self, number: u32, item: Item) -> bool {
        let Some(row) = self.rows.get_mut(number).filter(|row| row.id == item.id) else {
            return false;
        };
        self.bytes = self.bytes - row.bytes() + item.bytes();
        self.releasable = self.releasable - row.releasable() + item.releasable();
        *row = item;
        true
    }

    /// Appends an item with the next number.
    pub(crate) fn restore(&mut self, hash: u64, item: Item) -> u32 {
        self.bytes += item.bytes();
        self.releasable += item.releasable();
        let number = self.rows.push(item);
        self.index.insert(hash, number);
        number
    }
}
