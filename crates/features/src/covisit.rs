//! Which items a user's new item is paired with: the last few distinct ones they liked.
//!
//! An item that is itself among those was paired when it first came, so repeated events on one
//! item (view, click, dwell) count as one visit. The nearer in the sequence, the heavier the pair:
//! weight `1 / rank`. From the earlier item to the later one counts fully, the way back less.

use crate::history::HistoryEntry;
use crate::plan::CovisitPlan;

/// Most pairs of one event.
pub(crate) const PAIRS_MAX: usize = 16;
/// History entries looked at for each pair wanted: bounds the search in monotonous histories.
const ENTRIES_PER_PAIR: usize = 4;

/// One pair: the other item, and the weights from it to the new item and back.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Pair {
    pub(crate) other: u32,
    pub(crate) to_new: f32,
    pub(crate) to_other: f32,
}

/// The pairs of an event.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    pairs: [Pair; PAIRS_MAX],
    len: usize,
}

impl Pairs {
    pub(crate) fn as_slice(&self) -> &[Pair] {
        &self.pairs[..self.len]
    }

    /// Pairs `item` at `time_s` with the user's latest items before it in the history.
    pub(crate) fn of(plan: &CovisitPlan, history: &[HistoryEntry], item: u32, time_s: u32) -> Self {
        let mut found = Self::default();
        for entry in history
            .iter()
            .rev()
            .take(ENTRIES_PER_PAIR * plan.recent_items)
        {
            if entry.item.0 == item {
                return Self::default();
            }
            let is_new = found
                .as_slice()
                .iter()
                .all(|pair| pair.other != entry.item.0);
            let is_near = entry.time_s.abs_diff(time_s) <= plan.gap_max_s;
            if is_new && is_near && entry.strength() > 0.0 {
                let weight = 1.0 / (found.len + 1) as f32;
                let back = weight * plan.backward_weight;
                let is_earlier = entry.time_s <= time_s;
                found.pairs[found.len] = Pair {
                    other: entry.item.0,
                    to_new: if is_earlier { weight } else { back },
                    to_other: if is_earlier { back } else { weight },
                };
                found.len += 1;
                if found.len == plan.recent_items.min(PAIRS_MAX) {
                    break;
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decay::DecayClock;
    use crate::ids::LocalItem;
    use nowcast_types::EventTypeCode;

    const PLAN: fn() -> CovisitPlan = || CovisitPlan {
        recent_items: 2,
        neighbours_max: 8,
        decay: DecayClock::new(3_600),
        gap_max_s: 100,
        backward_weight: 0.5,
    };

    fn history(entries: &[(u32, u32, f32)]) -> Vec<HistoryEntry> {
        let entry = |&(item, time_s, strength): &(u32, u32, f32)| {
            HistoryEntry::new(LocalItem(item), time_s, EventTypeCode::CLICK, strength)
        };
        entries.iter().map(entry).collect()
    }

    fn others(entries: &[(u32, u32, f32)], item: u32, time_s: u32) -> Vec<(u32, f32, f32)> {
        let pairs = Pairs::of(&PLAN(), &history(entries), item, time_s);
        pairs
            .as_slice()
            .iter()
            .map(|p| (p.other, p.to_new, p.to_other))
            .collect()
    }

    #[test]
    fn the_latest_distinct_liked_items_are_paired_by_rank() {
        let history = [
            (1, 10, 1.0),
            (2, 20, 1.0),
            (3, 30, -1.0),
            (4, 40, 1.0),
            (4, 50, 1.0),
        ];
        assert_eq!(others(&history, 9, 60), [(4, 1.0, 0.5), (2, 0.5, 0.25)]);
    }

    #[test]
    fn an_item_seen_a_moment_ago_is_not_paired_again() {
        assert_eq!(others(&[(1, 10, 1.0), (9, 20, 1.0)], 9, 30), []);
    }

    #[test]
    fn distance_in_time_and_direction_count() {
        assert_eq!(others(&[(1, 10, 1.0)], 9, 111), []);
        assert_eq!(others(&[(1, 50, 1.0)], 9, 40), [(1, 0.5, 1.0)]);
    }
}
