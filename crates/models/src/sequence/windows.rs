//! What a training reads: each user's items in order, cut into windows, packed into equal passes.
//!
//! Only real positions are packed, so short sequences cost no padding. A sequence longer than the
//! network's length is cut at a random place in every epoch, and each of its items but the first
//! is a target exactly once.

use crate::interactions::Interactions;
use crate::seeded::Seeded;

/// Positions that one pass over the network takes, roughly; passes run side by side.
pub(super) const PASS_POSITIONS: usize = 512;

/// A stretch of a user's items: each but the last is an input, each but the first a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) user: u32,
    start: u32,
    end: u32,
}

impl Window {
    /// Number of positions.
    pub(super) const fn len(&self) -> usize {
        (self.end - self.start) as usize - 1
    }

    pub(super) fn inputs<'a>(&self, sequences: &'a [Vec<u32>]) -> &'a [u32] {
        &sequences[self.user as usize][self.start as usize..self.end as usize - 1]
    }

    pub(super) fn targets<'a>(&self, sequences: &'a [Vec<u32>]) -> &'a [u32] {
        &sequences[self.user as usize][self.start as usize + 1..self.end as usize]
    }
}

/// What users liked, oldest first.
pub(super) fn sequences(data: &Interactions) -> Vec<Vec<u32>> {
    let of_user = |user: usize| {
        let (items, row) = (data.sequence(user).items, data.row(user));
        if std::ptr::eq(items, row.items) {
            // Rows, unlike kept sequences, hold what was disliked too.
            let both = items.iter().zip(row.weights);
            let liked = both.filter(|(_, weight)| **weight > 0.0);
            return liked.map(|(item, _)| *item).collect();
        }
        items.to_vec()
    };
    (0..data.users_len()).map(of_user).collect()
}

/// The last item of some users, taken away to watch the training by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct HeldOut {
    /// Users with the item that they had next.
    pub(super) pairs: Vec<(u32, u32)>,
    /// Whether some of these items stand in their user's history too.
    pub(super) has_repeats: bool,
}

impl HeldOut {
    /// Takes the last item of about `share` of the sequences of at least three items, at most
    /// `limit` of them.
    pub(super) fn take(
        sequences: &mut [Vec<u32>],
        share: f64,
        limit: usize,
        random: &mut Seeded,
    ) -> Self {
        let long = |(user, items): (u32, &Vec<u32>)| (items.len() >= 3).then_some(user);
        let mut users: Vec<u32> = (0..).zip(sequences.iter()).filter_map(long).collect();
        let count = ((users.len() as f64 * share) as usize).min(limit);
        for at in 0..count {
            let other = at + random.below(users.len() - at);
            users.swap(at, other);
        }
        users.truncate(count);
        users.sort_unstable();
        let pair = |user: u32| {
            let last = sequences[user as usize].pop();
            last.map(|item| (user, item))
        };
        let pairs: Vec<(u32, u32)> = users.into_iter().filter_map(pair).collect();
        let is_repeat = |(user, item): &(u32, u32)| sequences[*user as usize].contains(item);
        Self {
            has_repeats: pairs.iter().any(is_repeat),
            pairs,
        }
    }
}

/// The windows of one epoch in random order.
pub(super) fn windows(sequences: &[Vec<u32>], length: usize, random: &mut Seeded) -> Vec<Window> {
    let mut all = Vec::with_capacity(sequences.len());
    for (user, items) in (0_u32..).zip(sequences) {
        let targets = items.len().saturating_sub(1);
        let mut start = 0;
        while start < targets {
            let left = targets - start;
            let mut len = left.min(length);
            if start == 0 && targets > length {
                len = 1 + random.below(length);
            }
            all.push(Window {
                user,
                start: start as u32,
                end: (start + len + 1) as u32,
            });
            start += len;
        }
    }
    for at in (1..all.len()).rev() {
        all.swap(at, random.below(at + 1));
    }
    all
}

/// Packs windows into passes of at most `positions`, and passes into steps of at least as many
/// positions as `step` asks for. A window longer than that is a pass of its own.
pub(super) fn steps(windows: &[Window], positions: usize, step: usize) -> Vec<Vec<&[Window]>> {
    let mut steps: Vec<Vec<&[Window]>> = Vec::new();
    let mut current: Vec<&[Window]> = Vec::new();
    let (mut first, mut filled, mut in_step) = (0, 0, 0);
    for (at, window) in windows.iter().enumerate() {
        let is_full = filled > 0 && filled + window.len() > positions;
        let ends_step = in_step > 0 && in_step + window.len() > step;
        if is_full || ends_step {
            current.push(&windows[first..at]);
            (first, filled) = (at, 0);
        }
        if ends_step {
            steps.push(std::mem::take(&mut current));
            in_step = 0;
        }
        filled += window.len();
        in_step += window.len();
    }
    if first < windows.len() {
        current.push(&windows[first..]);
    }
    if !current.is_empty() {
        steps.push(current);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_but_the_first_is_a_target_once_and_no_window_is_too_long() {
        let sequences = vec![
            (0..57).collect(),
            vec![7],
            vec![],
            vec![1, 2, 3],
            (5..25).collect(),
        ];
        for seed in 0..20 {
            let all = windows(&sequences, 10, &mut Seeded::new(seed, 0));
            let mut targets: Vec<(u32, u32)> = Vec::new();
            for window in &all {
                assert!((1..=10).contains(&window.len()));
                let inputs = window.inputs(&sequences);
                assert_eq!(inputs.len(), window.targets(&sequences).len());
                targets.extend(window.targets(&sequences).iter().map(|t| (window.user, *t)));
            }
            targets.sort_unstable();
            let wanted = (1..57).map(|t| (0, t)).chain([(3, 2), (3, 3)]);
            let wanted: Vec<(u32, u32)> = wanted.chain((6..25).map(|t| (4, t))).collect();
            assert_eq!(targets, wanted);
        }
    }

    #[test]
    fn steps_hold_all_windows_within_their_bounds() {
        let sequences: Vec<Vec<u32>> = (2..60).map(|n| (0..n).collect()).collect();
        let all = windows(&sequences, 40, &mut Seeded::new(1, 0));
        let steps = steps(&all, 64, 200);
        let flat: Vec<Window> = steps.iter().flatten().copied().flatten().copied().collect();
        assert_eq!(flat, all);
        let positions = |pass: &[Window]| pass.iter().map(Window::len).sum::<usize>();
        for step in &steps {
            assert!(step.iter().all(|pass| (1..=64).contains(&positions(pass))));
            assert!(step.iter().map(|pass| positions(pass)).sum::<usize>() <= 200);
        }
    }

    #[test]
    fn what_is_held_out_is_the_last_item_of_distinct_users() {
        let mut sequences: Vec<Vec<u32>> = (0..50).map(|n| (0..n % 5).collect()).collect();
        let before = sequences.clone();
        let held = HeldOut::take(&mut sequences, 0.5, 8, &mut Seeded::new(3, 0));
        assert_eq!(held.pairs.len(), 8);
        assert!(held.pairs.is_sorted_by(|a, b| a.0 < b.0));
        for (user, item) in &held.pairs {
            assert_eq!(before[*user as usize].last(), Some(item));
            assert_eq!(
                sequences[*user as usize].len() + 1,
                before[*user as usize].len()
            );
        }
    }
}
