//! A user's interactions, the newest last: what models turn into a user vector at request time.
//!
//! Kept in event-time order whatever the order of arrival, dislikes included (the strength keeps
//! its sign). Impressions and other types without weight never enter. When the history is full the
//! oldest go; an arrival older than all of a full history is not kept.

use crate::ids::LocalItem;
use half::f16;
use nowcast_types::EventTypeCode;

/// One interaction: 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct HistoryEntry {
    /// With what.
    pub item: LocalItem,
    /// When, in seconds since the epoch.
    pub time_s: u32,
    /// How.
    pub event_type: EventTypeCode,
    reserved: u8,
    strength: f16,
}

/// Entries by which a full buffer may exceed the history, so that forgetting the oldest is not a
/// move of the whole buffer each time.
const SURPLUS: usize = 16;
/// Entries by which a buffer that is not yet full grows; twice that while it is short.
const GROWTH: usize = 4;

impl HistoryEntry {
    pub(crate) const fn new(
        item: LocalItem,
        time_s: u32,
        event_type: EventTypeCode,
        strength: f32,
    ) -> Self {
        Self {
            item,
            time_s,
            event_type,
            reserved: 0,
            strength: f16::from_f32_const(strength),
        }
    }

    /// Signed strength as implicit feedback, to three digits.
    #[must_use]
    pub fn strength(&self) -> f32 {
        self.strength.to_f32()
    }

    pub(crate) fn to_words(self) -> [u32; 3] {
        let low = u32::from(self.event_type.0);
        [
            self.item.0,
            self.time_s,
            low | u32::from(self.strength.to_bits()) << 16,
        ]
    }

    pub(crate) fn from_words(words: [u32; 3]) -> Self {
        Self {
            item: LocalItem(words[0]),
            time_s: words[1],
            event_type: EventTypeCode(words[2] as u8),
            reserved: 0,
            strength: f16::from_bits((words[2] >> 16) as u16),
        }
    }
}

/// A bounded list in event-time order.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The live entries are the last `len_max`; what is before them is waiting to be dropped.
    buffer: Vec<HistoryEntry>,
}

impl History {
    /// The live entries, newest last.
    pub(crate) fn entries(&self, len_max: usize) -> &[HistoryEntry] {
        &self.buffer[self.buffer.len().saturating_sub(len_max)..]
    }

    /// Number of live entries.
    pub(crate) fn len(&self, len_max: usize) -> usize {
        self.buffer.len().min(len_max)
    }

    /// Adds an entry after all that are not later than it.
    pub(crate) fn insert(&mut self, entry: HistoryEntry, len_max: usize) {
        let live = self.entries(len_max);
        let later = live
            .iter()
            .rev()
            .take_while(|other| other.time_s > entry.time_s)
            .count();
        if later == live.len() && later == len_max {
            return;
        }
        if self.buffer.len() == len_max + SURPLUS {
            self.buffer.drain(..=SURPLUS);
        }
        if self.buffer.len() == self.buffer.capacity() {
            let room = len_max + SURPLUS - self.buffer.len();
            let growth = if self.buffer.len() >= len_max {
                room
            } else if self.buffer.len() < 4 * GROWTH {
                2 * GROWTH
            } else {
                GROWTH
            };
            self.buffer.reserve_exact(growth);
        }
        let at = self.buffer.len() - later;
        self.buffer.insert(at, entry);
    }

    pub(crate) fn from_entries(entries: Vec<HistoryEntry>) -> Self {
        Self { buffer: entries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(item: u32, time_s: u32) -> HistoryEntry {
        HistoryEntry::new(LocalItem(item), time_s, EventTypeCode::CLICK, -1.5)
    }

    #[test]
    fn an_entry_is_twelve_bytes_and_round_trips() {
        assert_eq!(size_of::<HistoryEntry>(), 12);
        let entry = entry(7, 9);
        assert_eq!(HistoryEntry::from_words(entry.to_words()), entry);
        assert_eq!(entry.strength(), -1.5);
    }

    proptest! {
        #[test]
        fn the_newest_stay_in_time_order(times in prop::collection::vec(0_u32..50, 0..120)) {
            let mut history = History::default();
            let mut expected: Vec<HistoryEntry> = Vec::new();
            for (i, time_s) in times.iter().enumerate() {
                history.insert(entry(i as u32, *time_s), 10);
                expected.push(entry(i as u32, *time_s));
                expected.sort_by_key(|e| e.time_s);
                if expected.len() > 10 {
                    expected.remove(0);
                }
                prop_assert_eq!(history.entries(10), &expected[..]);
            }
        }
    }
}
