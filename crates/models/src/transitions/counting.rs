//! Counts the transitions of one item at a time, and follows them one step further.

use super::Settings;
use crate::interactions::Interactions;
use crate::model::Scored;
use crate::top_k::TopK;

/// Where each item occurs in the sequences, and what divides its counts.
pub(super) struct Counting<'a> {
    data: &'a Interactions,
    settings: Settings,
    /// Occurrences of item `i` are `starts[i]..starts[i + 1]`.
    starts: Vec<usize>,
    /// User and position in the user's sequence.
    places: Vec<(u32, u32)>,
    /// `decay` to the power of 0, 1, … up to the window.
    shape: Vec<f32>,
}

impl<'a> Counting<'a> {
    pub(super) fn new(data: &'a Interactions, settings: Settings) -> Self {
        let mut starts = vec![0_usize; data.items_len() + 1];
        let sequences = || (0..data.users_len()).map(|user| data.sequence(user).items);
        for &item in sequences().flatten() {
            starts[item as usize + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut places = vec![(0, 0); starts[data.items_len()]];
        for (user, items) in (0_u32..).zip(sequences()) {
            for (position, &item) in (0_u32..).zip(items) {
                places[next[item as usize]] = (user, position);
                next[item as usize] += 1;
            }
        }
        let shape = (0..settings.window).map(|step| settings.decay.powi(step as i32));
        Self {
            shape: shape.collect(),
            data,
            settings,
            starts,
            places,
        }
    }

    fn occurrences(&self, item: u32) -> f32 {
        let (start, end) = (self.starts[item as usize], self.starts[item as usize + 1]);
        ((end - start) as f32).max(1.0)
    }

    /// The strongest neighbours of an item, best first. `sums` is all zeros before and after.
    pub(super) fn neighbours(&self, item: u32, sums: &mut [f32]) -> Vec<Scored> {
        let mut touched: Vec<u32> = Vec::new();
        let range = self.starts[item as usize]..self.starts[item as usize + 1];
        for &(user, position) in &self.places[range] {
            let items = self.data.sequence(user as usize).items;
            self.count(items, position as usize, |other, gain| {
                let sum = &mut sums[other as usize];
                if *sum == 0.0 {
                    touched.push(other);
                }
                *sum += gain;
            });
        }
        let own = self.occurrences(item).powf(self.settings.source_power);
        let target_power = self.settings.target_power;
        best_of(
            touched,
            sums,
            item,
            self.settings.neighbours,
            |other, sum| sum / (own * self.occurrences(other).powf(target_power)),
        )
    }

    /// Calls `add` with each partner of the entry at `position` and what the pair counts.
    fn count(&self, items: &[u32], position: usize, mut add: impl FnMut(u32, f32)) {
        let Settings {
            window,
            backward,
            row_decay,
            length_power,
            ..
        } = self.settings;
        let share = (items.len() as f32).powf(-length_power);
        let near_end = |later: usize| row_decay.powi((items.len() - 1 - later) as i32);
        let after = items.iter().enumerate().skip(position + 1).take(window);
        for ((later, &item), shape) in after.zip(&self.shape) {
            add(item, share * shape * near_end(later));
        }
        let before = items[..position].iter().rev().zip(&self.shape);
        let back = share * backward * near_end(position);
        for (&item, shape) in before {
            add(item, back * shape);
        }
    }
}

/// The list of `item` with what its neighbours lead to added.
pub(super) fn with_second_step(
    lists: &[Vec<Scored>],
    item: u32,
    settings: &Settings,
    sums: &mut [f32],
) -> Vec<Scored> {
    let mut touched: Vec<u32> = Vec::new();
    let mut add = |other: u32, gain: f32| {
        let sum = &mut sums[other as usize];
        if *sum == 0.0 {
            touched.push(other);
        }
        *sum += gain;
    };
    let near = &lists[item as usize];
    for one in near {
        add(one.item, one.score);
    }
    for bridge in near.iter().take(settings.bridges) {
        let through = &lists[bridge.item as usize];
        for far in through.iter().take(settings.bridges) {
            add(far.item, settings.two_step * bridge.score * far.score);
        }
    }
    best_of(touched, sums, item, settings.neighbours, |_, sum| sum)
}

/// The best of the touched items but `own`, by `strength` of their sums, which become 0 again.
fn best_of(
    touched: Vec<u32>,
    sums: &mut [f32],
    own: u32,
    k: usize,
    strength: impl Fn(u32, f32) -> f32,
) -> Vec<Scored> {
    let mut best = TopK::new(k);
    for other in touched {
        // Sums that vanish beside others may list an item twice; its second sum is 0.
        let sum = std::mem::take(&mut sums[other as usize]);
        if other != own && sum > 0.0 {
            best.push(other, strength(other, sum));
        }
    }
    let mut out = Vec::new();
    best.finish_into(&mut out);
    out.retain(|scored| scored.score > 0.0 && scored.score.is_finite());
    out
}
