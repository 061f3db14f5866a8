//! The users of a partition: a table of rows, found by key, counted in bytes, marked when changed.
//!
//! Rows live in a slab; a freed slot is reused lowest first, so that which slot a user gets depends
//! on the set of users alone, and survives a restart. Whoever changes a row says so with
//! [`Users::touch`] and squares the byte count with [`Users::settle`].

use crate::history::History;
use crate::ids::LocalSegment;
use crate::index::Index;
use crate::kernels::prefetch_row;
use crate::session::Session;
use crate::slab::Slab;
use nowcast_types::UserKey;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Bytes that the budget counts for a user with nothing: row and index.
const BASE_BYTES: u64 = size_of::<Option<User>>() as u64 + 14;

/// Stands for no segment.
pub(crate) const NO_SEGMENT: u32 = u32::MAX;

/// The JSON text of a user's attributes.
#[derive(Debug)]
struct Attributes(Box<str>);

/// One user: two cache lines, the first with what every event needs.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct User {
    pub(crate) key: UserKey,
    pub(crate) history: History,
    /// Block 0: category affinity. Then the tiles of the views of users.
    pub(crate) words: Vec<u32>,
    pub(crate) session: Session,
    pub(crate) first_s: u32,
    pub(crate) last_s: u32,
    /// Boxed twice, since few users have any: a narrow pointer is half the size.
    attributes: Option<Box<Attributes>>,
    segment: u32,
    is_dirty: bool,
    /// Lap of the eviction clock in which the row was last touched.
    pub(crate) lap: u8,
}

impl User {
    pub(crate) const fn new(key: UserKey, history: History) -> Self {
        Self {
            key,
            history,
            words: Vec::new(),
            session: Session::NONE,
            attributes: None,
            first_s: 0,
            last_s: 0,
            segment: NO_SEGMENT,
            is_dirty: false,
            lap: 0,
        }
    }

    /// The segment of the user's record.
    pub(crate) fn segment(&self) -> Option<LocalSegment> {
        Some(LocalSegment(self.segment)).filter(|segment| segment.0 != NO_SEGMENT)
    }

    pub(crate) fn set_segment(&mut self, segment: Option<LocalSegment>) {
        self.segment = segment.map_or(NO_SEGMENT, |segment| segment.0);
    }

    /// The attributes of the user's record.
    pub(crate) fn attributes(&self) -> Option<&str> {
        self.attributes.as_ref().map(|attributes| &*attributes.0)
    }

    pub(crate) fn take_attributes(&mut self) -> Option<Box<str>> {
        self.attributes.take().map(|attributes| attributes.0)
    }

    pub(crate) fn set_attributes(&mut self, attributes: Option<Box<str>>) {
        self.attributes = attributes.map(|text| Box::new(Attributes(text)));
    }

    /// Extends the span of activity.
    pub(crate) fn see(&mut self, time_s: u32) {
        self.first_s = if self.last_s == 0 {
            time_s
        } else {
            self.first_s.min(time_s)
        };
        self.last_s = self.last_s.max(time_s);
    }

    /// Bytes that the budget counts, from lengths alone so that they are the same after a restart.
    pub(crate) fn bytes(&self, history_len: usize) -> u64 {
        let attributes = self.attributes().map_or(0, |text| text.len() + 16);
        BASE_BYTES
            + 12 * self.history.len(history_len) as u64
            + 4 * self.words.len() as u64
            + attributes as u64
    }
}

/// All users of a partition.
#[derive(Debug, Default)]
pub(crate) struct Users {
    rows: Slab<Option<User>>,
    index: Index,
    free: BinaryHeap<Reverse<u32>>,
    len: usize,
    bytes: u64,
    dirty: Vec<u32>,
    removed: Vec<UserKey>,
}

const fn hash_of(key: &UserKey) -> u64 {
    // The upper half of a byte order in which partitioning uses the lower one.
    u64::from_le_bytes([
        key.0[8], key.0[7], key.0[6], key.0[5], key.0[9], key.0[10], key.0[11], key.0[12],
    ])
}

impl Users {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn slots(&self) -> u32 {
        self.rows.len()
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Asks for the index slot of a key.
    pub(crate) fn prefetch_index(&self, key: &UserKey) {
        self.index.prefetch(hash_of(key));
    }

    /// Guesses the slot of a key from its tag and asks for the row.
    pub(crate) fn guess(&self, key: &UserKey) -> Option<u32> {
        let slot = self.index.find(hash_of(key), |_| true)?;
        if let Some(row) = self.rows.get(slot) {
            prefetch_row(row);
        }
        Some(slot)
    }

    pub(crate) fn find(&self, key: &UserKey) -> Option<u32> {
        self.index.find(hash_of(key), |slot| {
            self.get(slot).is_some_and(|user| user.key == *key)
        })
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&User> {
        self.rows.get(slot)?.as_ref()
    }

    /// Finds a user, trying `guess` first, or makes one without history.
    pub(crate) fn find_or_insert(&mut self, key: &UserKey, guess: Option<u32>) -> u32 {
        if let Some(slot) = guess
            && self.get(slot).is_some_and(|user| user.key == *key)
        {
            return slot;
        }
        if let Some(slot) = self.find(key) {
            return slot;
        }
        let user = User::new(*key, History::default());
        self.bytes += user.bytes(0);
        let slot = match self.free.pop() {
            Some(Reverse(slot)) => {
                self.rows[slot] = Some(user);
                slot
            }
            None => self.rows.push(Some(user)),
        };
        self.index.insert(hash_of(key), slot);
        self.len += 1;
        slot
    }

    /// The row in an occupied slot, marked as changed in clock lap `lap`.
    pub(crate) fn touch(&mut self, slot: u32, lap: u8) -> &mut User {
        let user = self.rows[slot]
            .as_mut()
            .expect("the slot was just found occupied");
        user.lap = lap;
        if !user.is_dirty {
            user.is_dirty = true;
            self.dirty.push(slot);
        }
        user
    }

    /// Squares the byte count after a row changed from `before` to `after` bytes.
    pub(crate) const fn settle(&mut self, before: u64, after: u64) {
        self.bytes = self.bytes - before + after;
    }

    /// Forgets the user in a slot.
    pub(crate) fn remove(&mut self, slot: u32, history_len: usize) {
        let Some(user) = self.rows.get_mut(slot).and_then(Option::take) else {
            return;
        };
        self.bytes -= user.bytes(history_len);
        self.len -= 1;
        self.index.remove(hash_of(&user.key), slot);
        self.removed.push(user.key);
        self.free.push(Reverse(slot));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &User)> {
        self.rows
            .iter()
            .enumerate()
            .filter_map(|(slot, row)| Some((slot as u32, row.as_ref()?)))
    }

    /// Keys removed since the last call.
    pub(crate) fn take_removed(&mut self) -> Vec<UserKey> {
        std::mem::take(&mut self.removed)
    }

    /// Occupied slots changed since the last call.
    pub(crate) fn take_dirty(&mut self) -> Vec<u32> {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.retain(|slot| {
            let user = self.rows.get_mut(*slot).and_then(Option::as_mut);
            user.is_some_and(|user| std::mem::take(&mut user.is_dirty))
        });
        dirty
    }

    /// Makes `slots` free slots; for restoring.
    pub(crate) fn with_slots(slots: u32) -> Self {
        let mut users = Self::default();
        for _ in 0..slots {
            users.rows.push(None);
        }
        users
    }

    /// Puts a saved user back into its slot; `false` if there is no such free slot.
    pub(crate) fn restore(&mut self, slot: u32, user: User, history_len: usize) -> bool {
        let Some(row @ None) = self.rows.get_mut(slot) else {
            return false;
        };
        self.bytes += user.bytes(history_len);
        self.index.insert(hash_of(&user.key), slot);
        self.len += 1;
        *row = Some(user);
        true
    }

    /// Finds the free slots; the last step of restoring.
    pub(crate) fn restored(&mut self) {
        let rows = self.rows.iter().enumerate();
        self.free = rows
            .filter(|(_, row)| row.is_none())
            .map(|(slot, _)| Reverse(slot as u32))
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_slot_is_reused() {
        let mut users = Users::default();
        let key = |n: u8| UserKey([n; 16]);
        for n in 0..5 {
            assert_eq!(users.find_or_insert(&key(n), None), u32::from(n));
        }
        users.remove(3, 10);
        users.remove(1, 10);
        assert_eq!(users.find_or_insert(&key(9), Some(0)), 1);
        assert_eq!(users.find_or_insert(&key(8), None), 3);
        assert_eq!(users.find(&key(1)), None);
        assert_eq!((users.len(), users.bytes()), (5, 5 * BASE_BYTES));
    }

    #[test]
    fn a_row_is_compact() {
        assert!(
            size_of::<Option<User>>() <= 128,
            "{}",
            size_of::<Option<User>>()
        );
    }
}
