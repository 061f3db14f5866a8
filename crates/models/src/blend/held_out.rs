//! The last item of some users held out, for the weights to be learnt from.

use crate::interactions::{Interactions, InteractionsBuilder};
use crate::model::HistoryItem;
use crate::seeded::Seeded;

/// One user whose last item is to be found by what came before it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Example {
    /// Oldest first.
    pub(super) history: Vec<HistoryItem>,
    pub(super) target: u32,
}

impl Example {
    /// Whether the user had the item before.
    pub(super) fn is_repeat(&self) -> bool {
        self.history.iter().any(|entry| entry.item == self.target)
    }
}

/// At most `most` examples and at most `share` of the users, drawn evenly among those with two
/// items or more, and the data without what is to be found.
pub(super) fn hold_out(
    data: &Interactions,
    (share, most): (f64, usize),
    seed: u64,
) -> (Interactions, Vec<Example>) {
    let mut users: Vec<usize> = (0..data.users_len())
        .filter(|&user| has_target(data, user))
        .collect();
    let wanted = ((users.len() as f64 * share).ceil() as usize).min(most);
    let mut random = Seeded::new(seed, 0);
    for at in 0..wanted.min(users.len()) {
        let other = at + random.below(users.len() - at);
        users.swap(at, other);
    }
    users.truncate(wanted);
    users.sort_unstable();

    let mut builder = InteractionsBuilder::new(data.item_ids().clone());
    if data.keeps_repeats() {
        builder = builder.with_repeats();
    }
    let mut examples = Vec::with_capacity(users.len());
    let mut held = users.into_iter().peekable();
    for user in 0..data.users_len() {
        builder.push_user();
        let mut entries = entries(data, user);
        if held.next_if_eq(&user).is_some()
            && let Some(target) = entries.pop()
        {
            let age_s = |entry: &Entry| target.time_s.saturating_sub(entry.time_s);
            let history = entries.iter().map(|entry| HistoryItem {
                item: entry.item,
                weight: entry.weight,
                age_s: age_s(entry),
            });
            examples.push(Example {
                history: history.collect(),
                target: target.item,
            });
        }
        for entry in entries {
            builder.push(user as u32, entry.item, entry.weight, entry.time_s);
        }
    }
    let mut rest = builder.build();
    if !data.contents().is_empty() {
        rest = rest.with_contents(data.contents().to_vec());
    }
    (rest, examples)
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    item: u32,
    weight: f32,
    time_s: u32,
}

/// What a user did, oldest first, repeats apart, each with its share of the pair's weight. Items of
/// the row that the sequence lacks, disliked or older than what it keeps, come first.
fn entries(data: &Interactions, user: usize) -> Vec<Entry> {
    let (row, sequence) = (data.row(user), data.sequence(user));
    let mut occurrences: Vec<u32> = sequence.items.to_vec();
    occurrences.sort_unstable();
    let count = |item: u32| {
        let from = occurrences.partition_point(|other| *other < item);
        occurrences.partition_point(|other| *other <= item) - from
    };
    let mut shares: Vec<(u32, f32)> = Vec::with_capacity(row.items.len());
    let mut all = Vec::with_capacity(sequence.items.len());
    for ((&item, &weight), &time_s) in row.items.iter().zip(row.weights).zip(row.times_s) {
        match count(item) {
            0 => all.push(Entry {
                item,
                weight,
                time_s,
            }),
            n => shares.push((item, weight / n as f32)),
        }
    }
    shares.sort_unstable_by_key(|(item, _)| *item);
    for (&item, &time_s) in sequence.items.iter().zip(sequence.times_s) {
        if let Ok(at) = shares.binary_search_by_key(&item, |(item, _)| *item) {
            let weight = shares[at].1;
            all.push(Entry {
                item,
                weight,
                time_s,
            });
        }
    }
    all
}

/// Whether a user's last entry is liked and something stands before it.
fn has_target(data: &Interactions, user: usize) -> bool {
    if data.sequence(user).items.len() < 2 {
        return false;
    }
    let entries = entries(data, user);
    entries.len() >= 2 && entries.last().is_some_and(|last| last.weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(keeps_repeats: bool) -> Interactions {
        let mut builder = InteractionsBuilder::new(["a", "b", "c"].into_iter().collect());
        if keeps_repeats {
            builder = builder.with_repeats();
        }
        for (user, item, weight, time_s) in [
            (0, 0, 1.0, 10),
            (0, 1, 1.0, 20),
            (0, 0, 1.0, 30),
            (1, 2, 1.0, 10),
            (2, 0, 1.0, 10),
            (2, 2, -1.0, 20),
        ] {
            builder.push(user, item, weight, time_s);
        }
        builder.build()
    }

    #[test]
    fn nothing_held_out_leaves_the_data_as_they_are() {
        for keeps_repeats in [false, true] {
            let all = data(keeps_repeats);
            let (rest, examples) = hold_out(&all, (1.0, 0), 1);
            assert_eq!((rest, examples), (all, vec![]));
        }
    }

    #[test]
    fn the_last_liked_item_is_taken_out_and_the_history_has_what_came_before() {
        let (rest, examples) = hold_out(&data(true), (1.0, 9), 1);
        assert_eq!(
            examples.len(),
            1,
            "the others have one liked item or end with a dislike"
        );
        assert_eq!(examples[0].target, 0);
        assert!(examples[0].is_repeat());
        let history: Vec<(u32, f32, u32)> = (examples[0].history.iter())
            .map(|entry| (entry.item, entry.weight, entry.age_s))
            .collect();
        assert_eq!(history, [(0, 1.0, 20), (1, 1.0, 10)]);
        assert_eq!(rest.sequence(0).items, &[0, 1]);
        assert_eq!(rest.row(0).weights, &[1.0, 1.0]);
        assert_eq!(rest.row(2), data(true).row(2));
    }
}
