//! The memory of event ids, so that an event counts once however often it arrives.
//!
//! 64 bits per id in two generations. The present one takes new ids; once the watermark has moved
//! by the horizon, or the entries reach half of the cap, it becomes the previous one and the one
//! before is forgotten. So an id is remembered for at least one horizon of event time, unless the
//! cap forces an earlier end, which is counted. An id older than that is caught by the lateness,
//! which may not exceed the horizon.
//!
//! Erasing a user does not touch this memory: it holds one-way hashes, and forgetting them early
//! would let a repeated delivery bring an erased user back.

use crate::kernels::prefetch;
use nowcast_types::Timestamp;

/// Bytes that the budget counts per id.
pub(crate) const BYTES_PER_ID: u64 = 12;

/// A set of 64-bit hashes: open addressing, linear probing, load below 4/5. Slots are in the order
/// of the hashes, so growing is a sequential pass.
#[derive(Debug, Default)]
struct IdSet {
    /// 0 marks a free slot; the id 0 is stored as 1.
    slots: Vec<u64>,
    len: usize,
}

impl IdSet {
    fn home(&self, id: u64) -> usize {
        ((u128::from(id) * self.slots.len() as u128) >> 64) as usize
    }

    fn prefetch(&self, id: u64) {
        if let Some(slot) = self.slots.get(self.home(id)) {
            prefetch(slot);
        }
    }

    /// The slot that holds `id`, or the free one where it belongs.
    fn slot_of(&self, id: u64) -> usize {
        let mut at = self.home(id);
        while self.slots[at] != 0 && self.slots[at] != id {
            at = if at + 1 == self.slots.len() {
                0
            } else {
                at + 1
            };
        }
        at
    }

    fn contains(&self, id: u64) -> bool {
        self.len > 0 && self.slots[self.slot_of(id)] == id
    }

    fn insert(&mut self, id: u64) -> bool {
        if (self.len + 1) * 5 > self.slots.len() * 4 {
            self.grow(self.slots.len() * 3 / 2 + 64);
        }
        let at = self.slot_of(id);
        if self.slots[at] == id {
            return false;
        }
        self.slots[at] = id;
        self.len += 1;
        true
    }

    fn grow(&mut self, capacity: usize) {
        let old = std::mem::replace(&mut self.slots, vec![0; capacity]);
        for id in old.into_iter().filter(|id| *id != 0) {
            let at = self.slot_of(id);
            self.slots[at] = id;
        }
    }

    /// Makes room for `n` more ids. Needed before adding sorted ones: since slots are in the order
    /// of ids, those would crowd the front of a table that is still too small.
    fn reserve(&mut self, n: usize) {
        let capacity = (self.len + n) * 4 / 3 + 64;
        if capacity > self.slots.len() {
            self.grow(capacity);
        }
    }

    fn sorted(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.slots.iter().copied().filter(|id| *id != 0).collect();
        ids.sort_unstable();
        ids
    }
}

/// One generation of ids.
#[derive(Debug, Default)]
struct Generation {
    ids: IdSet,
    /// Ids that no checkpoint holds yet.
    unsaved: Vec<u64>,
    /// Checkpoint sections that hold the others.
    chunks: u32,
}

/// Where the generations stand; part of the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DedupMeta {
    /// Number of the present generation, from 1.
    pub(crate) generation: u64,
    /// Watermark at which it began.
    pub(crate) began: Timestamp,
    /// Checkpoint sections of the present and the previous generation.
    pub(crate) chunks: [u32; 2],
}

/// The memory of event ids.
#[derive(Debug)]
pub(crate) struct Dedup {
    present: Generation,
    previous: Generation,
    generation: u64,
    began: Timestamp,
    /// Sections of forgotten generations, for the next checkpoint to bury.
    forgotten: Vec<(u64, u32)>,
    /// Whether new ids are added to what is saved under one name, instead of getting a new one.
    pub(crate) is_appended: bool,
}

impl Default for Dedup {
    fn default() -> Self {
        Self {
            present: Generation::default(),
            previous: Generation::default(),
            generation: 1,
            began: Timestamp::MIN,
            forgotten: Vec::new(),
            is_appended: false,
        }
    }
}

/// The chunk number under which a full checkpoint stores a whole generation.
pub(crate) const WHOLE: u32 = u32::MAX;

const fn stored(id: u64) -> u64 {
    if id == 0 { 1 } else { id }
}

impl Dedup {
    pub(crate) fn prefetch(&self, id: u64) {
        self.present.ids.prefetch(id);
        self.previous.ids.prefetch(id);
    }

    /// Remembers an id; `false` if it was known.
    pub(crate) fn insert(&mut self, id: u64) -> bool {
        let id = stored(id);
        if self.previous.ids.contains(id) || !self.present.ids.insert(id) {
            return false;
        }
        self.present.unsaved.push(id);
        true
    }

    /// Begins a new generation if it is time. Returns whether the cap forced it.
    pub(crate) fn advance(
        &mut self,
        watermark: Timestamp,
        horizon_ms: i64,
        entries_max: usize,
    ) -> bool {
        if self.began == Timestamp::MIN {
            self.began = watermark;
        }
        let is_full = self.present.ids.len * 2 >= entries_max;
        let is_over = watermark.since_ms(self.began) > horizon_ms;
        if !is_full && !is_over {
            return false;
        }
        let fresh = Generation::default();
        let previous = std::mem::replace(&mut self.present, fresh);
        let gone = std::mem::replace(&mut self.previous, previous);
        let number = self.generation.saturating_sub(1);
        self.forgotten
            .extend((0..gone.chunks).map(|chunk| (number, chunk)));
        self.forgotten.push((number, WHOLE));
        self.generation += 1;
        self.began = watermark;
        !is_over
    }

    pub(crate) const fn len(&self) -> usize {
        self.present.ids.len + self.previous.ids.len
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.len() as u64 * BYTES_PER_ID
    }

    pub(crate) const fn meta(&self) -> DedupMeta {
        DedupMeta {
            generation: self.generation,
            began: self.began,
            chunks: [self.present.chunks, self.previous.chunks],
        }
    }

    /// The ids of the previous and the present generation with the generation's number, sorted.
    pub(crate) fn generations(&self) -> [(u64, Vec<u64>); 2] {
        [
            (self.generation - 1, self.previous.ids.sorted()),
            (self.generation, self.present.ids.sorted()),
        ]
    }

    /// Sections to bury since the last call.
    pub(crate) fn take_forgotten(&mut self) -> Vec<(u64, u32)> {
        std::mem::take(&mut self.forgotten)
    }

    /// New ids since the last call, as (generation, chunk, ids).
    pub(crate) fn take_unsaved(&mut self) -> Vec<(u64, u32, Vec<u64>)> {
        let mut chunks = Vec::new();
        let number = self.generation;
        for (number, generation) in [
            (number - 1, &mut self.previous),
            (number, &mut self.present),
        ] {
            if !generation.unsaved.is_empty() {
                let ids = std::mem::take(&mut generation.unsaved);
                chunks.push((number, generation.chunks, ids));
                generation.chunks += u32::from(!self.is_appended);
            }
        }
        chunks
    }

    pub(crate) fn restored(meta: DedupMeta) -> Self {
        let mut dedup = Self {
            generation: meta.generation.max(1),
            began: meta.began,
            ..Self::default()
        };
        dedup.present.chunks = meta.chunks[0];
        dedup.previous.chunks = meta.chunks[1];
        dedup
    }

    /// Puts saved ids back; those of forgotten generations are ignored.
    pub(crate) fn restore_ids(&mut self, number: u64, ids: impl ExactSizeIterator<Item = u64>) {
        let generation = if number == self.generation {
            &mut self.present
        } else if number + 1 == self.generation {
            &mut self.previous
        } else {
            return;
        };
        generation.ids.reserve(ids.len());
        for id in ids.filter(|id| *id != 0) {
            generation.ids.insert(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn an_id_is_remembered_for_at_least_the_horizon() {
        for start_min in 0..120_i64 {
            let mut dedup = Dedup::default();
            for minute in 0..=start_min + 60 {
                if minute == start_min {
                    assert!(dedup.insert(7));
                }
                dedup.advance(Timestamp(minute * 60_000), HOUR_MS, 1_000);
            }
            assert!(!dedup.insert(7), "inserted at minute {start_min}");
        }
    }

    #[test]
    fn ids_are_forgotten_after_two_horizons() {
        let mut dedup = Dedup::default();
        dedup.insert(7);
        for hour in 0..3 {
            dedup.advance(Timestamp(hour * (HOUR_MS + 1)), HOUR_MS, 1_000);
        }
        assert!(dedup.insert(7));
    }

    #[test]
    fn the_cap_bounds_the_entries_and_is_reported() {
        let mut dedup = Dedup::default();
        let mut forced = 0;
        for n in 1..=10_000_u64 {
            assert!(dedup.insert(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            forced += u32::from(dedup.advance(Timestamp(0), HOUR_MS, 1_000));
            assert!(dedup.len() <= 1_000);
        }
        assert_eq!(forced, 20);
    }

    #[test]
    fn saved_ids_are_restored_into_a_table_that_need_not_grow() {
        let ids: Vec<u64> = (0..10_000).map(|n| n << 50 | 1).collect();
        let mut dedup = Dedup::default();
        dedup.restore_ids(1, ids.iter().copied());
        let mut room = IdSet::default();
        room.reserve(ids.len());
        assert_eq!(dedup.present.ids.slots.len(), room.slots.len());
        assert_eq!(dedup.len(), ids.len());
        assert!(ids.iter().all(|id| !dedup.insert(*id)));
    }

    #[test]
    fn the_id_zero_is_an_id() {
        let mut dedup = Dedup::default();
        assert!(dedup.insert(0));
        assert!(!dedup.insert(0));
    }
}
