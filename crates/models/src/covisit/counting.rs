//! Counts the pairs: which items were met near which, and how strongly.

use super::{ROW_MAX, Settings};
use crate::interactions::{Interactions, Row};
use crate::model::Scored;
use crate::top_k::TopK;

/// Where each item occurs, and how much each row's entries count.
pub(super) struct Counting<'a> {
    data: &'a Interactions,
    settings: Settings,
    newest_s: u32,
    /// Occurrences of item `i` are `starts[i]..starts[i + 1]`.
    starts: Vec<usize>,
    /// User and position in the user's row.
    places: Vec<(u32, u32)>,
    /// 1 over the root of the decayed number of occurrences; 0 for items that never occur.
    inverse_roots: Vec<f32>,
}

impl<'a> Counting<'a> {
    pub(super) fn new(data: &'a Interactions, settings: Settings) -> Self {
        let mut counting = Self {
            data,
            settings,
            newest_s: data.newest_s(),
            starts: vec![0; data.items_len() + 1],
            places: Vec::new(),
            inverse_roots: Vec::new(),
        };
        let mut totals = vec![0.0_f32; data.items_len()];
        let mut places: Vec<(u32, u32, u32)> = Vec::with_capacity(data.len());
        for (user, row) in data.rows().enumerate() {
            for position in row.items.len().saturating_sub(ROW_MAX)..row.items.len() {
                if row.weights[position] > 0.0 {
                    let item = row.items[position];
                    totals[item as usize] += counting.decay(row.times_s[position]);
                    counting.starts[item as usize + 1] += 1;
                    places.push((item, user as u32, position as u32));
                }
            }
        }
        for i in 1..counting.starts.len() {
            counting.starts[i] += counting.starts[i - 1];
        }
        places.sort_unstable();
        counting.places = places.into_iter().map(|(_, user, at)| (user, at)).collect();
        let inverse_root = |total: f32| if total > 0.0 { 1.0 / total.sqrt() } else { 0.0 };
        counting.inverse_roots = totals.into_iter().map(inverse_root).collect();
        counting
    }

    fn decay(&self, time_s: u32) -> f32 {
        if self.settings.half_life_s > 0.0 {
            (-((self.newest_s - time_s) as f32) / self.settings.half_life_s).exp2()
        } else {
            1.0
        }
    }

    /// The strongest neighbours of an item, best first. `sums` is all zeros before and after.
    pub(super) fn neighbours(&self, item: u32, sums: &mut [f32]) -> Vec<Scored> {
        let mut touched: Vec<u32> = Vec::new();
        let range = self.starts[item as usize]..self.starts[item as usize + 1];
        for &(user, position) in &self.places[range] {
            self.count_row(
                self.data.row(user as usize),
                position as usize,
                |other, gain| {
                    let sum = &mut sums[other as usize];
                    if *sum == 0.0 {
                        touched.push(other);
                    }
                    *sum += gain;
                },
            );
        }
        let own = self.inverse_roots[item as usize];
        let mut best = TopK::new(self.settings.neighbours);
        for other in touched {
            let sum = std::mem::take(&mut sums[other as usize]);
            best.push(other, sum * own * self.inverse_roots[other as usize]);
        }
        let mut out = Vec::new();
        best.finish_into(&mut out);
        out.retain(|scored| scored.score > 0.0);
        out
    }

    /// Calls `add` with each partner of the entry at `position` and what the pair counts.
    fn count_row(&self, row: Row<'_>, position: usize, mut add: impl FnMut(u32, f32)) {
        let oldest = row.items.len().saturating_sub(ROW_MAX);
        let has_times = row.times_s[position] > 0;
        let window = if has_times {
            self.settings.window
        } else {
            ROW_MAX
        };
        let from = position.saturating_sub(window).max(oldest);
        let to = (position + window + 1).min(row.items.len());
        for other in (from..to).filter(|other| *other != position) {
            if row.weights[other] <= 0.0 {
                continue;
            }
            let shape = if !has_times {
                1.0
            } else if row.times_s[other] == row.times_s[position] {
                (1.0 + self.settings.backward) / 2.0
            } else if other > position {
                1.0 / (other - position) as f32
            } else {
                self.settings.backward / (position - other) as f32
            };
            if shape > 0.0 {
                add(row.items[other], shape * self.decay(row.times_s[other]));
            }
        }
    }
}
