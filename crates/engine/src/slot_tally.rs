//! Impressions and clicks per slot as they arrive: the click-through rate of each place and arm.
//!
//! It counts at the edge, so a retried event counts again; the exact, deduplicated rates are
//! feature views. Slots beyond the bound share one entry, because slot names come from clients.

use nowcast_types::EventTypeCode;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most slots counted apart.
const SLOTS_MAX: usize = 64;
/// Name of the entry that the slots beyond share.
const OTHERS: &str = "(others)";
/// Name of the entry for events that name no slot.
const UNNAMED: &str = "(none)";

#[derive(Debug, Default)]
struct Cell {
    impressions: AtomicU64,
    clicks: AtomicU64,
}

/// Counts of one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotCounts {
    /// The slot.
    pub slot: String,
    /// Impressions seen.
    pub impressions: u64,
    /// Clicks seen.
    pub clicks: u64,
}

/// The tally of all slots.
#[derive(Debug, Default)]
pub struct SlotTally(RwLock<BTreeMap<String, Cell>>);

impl SlotTally {
    /// Counts `count` events of a type in a slot; types other than impression and click are not
    /// counted.
    pub fn add(&self, slot: Option<&str>, event_type: EventTypeCode, count: u64) {
        let is_click = match event_type {
            EventTypeCode::CLICK => true,
            EventTypeCode::IMPRESSION => false,
            _ => return,
        };
        if count == 0 {
            return;
        }
        let slot = slot.unwrap_or(UNNAMED);
        let bump = |cell: &Cell| {
            let counter = if is_click {
                &cell.clicks
            } else {
                &cell.impressions
            };
            counter.fetch_add(count, Ordering::Relaxed);
        };
        if let Some(cell) = self.0.read().get(slot) {
            return bump(cell);
        }
        let mut cells = self.0.write();
        let name = if cells.len() < SLOTS_MAX {
            slot
        } else {
            OTHERS
        };
        bump(cells.entry(name.to_owned()).or_default());
    }

    /// The counts of every slot, by name.
    #[must_use]
    pub fn counts(&self) -> Vec<SlotCounts> {
        let cells = self.0.read();
        let counts = cells.iter().map(|(slot, cell)| SlotCounts {
            slot: slot.clone(),
            impressions: cell.impressions.load(Ordering::Relaxed),
            clicks: cell.clicks.load(Ordering::Relaxed),
        });
        counts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_counted_apart_up_to_the_bound() {
        let tally = SlotTally::default();
        for slot in 0..200 {
            tally.add(Some(&format!("s{slot}")), EventTypeCode::IMPRESSION, 2);
        }
        tally.add(Some("s0"), EventTypeCode::CLICK, 1);
        tally.add(Some("s0"), EventTypeCode::VIEW, 1);
        tally.add(None, EventTypeCode::CLICK, 1);
        let counts = tally.counts();
        assert_eq!(counts.len(), SLOTS_MAX + 1);
        let of = |slot: &str| counts.iter().find(|c| c.slot == slot).unwrap();
        assert_eq!((of("s0").impressions, of("s0").clicks), (2, 1));
        assert_eq!(of(OTHERS).impressions, 2 * (200 - SLOTS_MAX as u64));
        assert_eq!(
            of(OTHERS).clicks,
            1,
            "the unnamed slot came after the bound"
        );
    }
}
