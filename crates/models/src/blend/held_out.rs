//! The last item of some users and what came of slots held out, for the weights to be learnt from.

use super::slot_examples::SlotExamples;
use crate::interactions::Interactions;
use crate::model::HistoryItem;
use crate::occurrences::Occurrence;
use crate::seeded::Seeded;

/// One item that is to be found by what its user did before it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Example {
    /// Oldest first.
    pub(super) history: Vec<HistoryItem>,
    pub(super) target: u32,
}

impl Example {
    /// `target`, chosen at `time_s` after `before`.
    pub(super) fn new(before: &[Occurrence], target: u32, time_s: u32) -> Self {
        let history = before.iter().map(|entry| HistoryItem {
            item: entry.item,
            weight: entry.weight,
            age_s: time_s.saturating_sub(entry.time_s),
        });
        Self {
            history: history.collect(),
            target,
        }
    }

    /// Whether the user had the item before.
    pub(super) fn is_repeat(&self) -> bool {
        self.history.iter().any(|entry| entry.item == self.target)
    }
}

/// What is held out, and what is left.
#[derive(Debug, PartialEq)]
pub(super) struct HeldOut {
    /// The data without what is to be found, and without what its users did after that.
    pub(super) rest: Interactions,
    /// The last item of some users.
    pub(super) last: Vec<Example>,
    /// What came of the lists of each slot that has enough of it, with the slot's name.
    pub(super) slots: Vec<(String, Vec<Example>)>,
}

/// How much is held out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Share of the users whose last item is.
    pub(super) share: f64,
    /// Most users whose last item is, and most outcomes of a slot.
    pub(super) most: usize,
    /// Fewest outcomes of a slot; 0 tells no slots apart.
    pub(super) slot_min: usize,
}

/// The last item of users drawn evenly among those with two items or more, and the newest outcomes
/// in slots.
pub(super) fn hold_out(data: &Interactions, limits: Limits, seed: u64) -> HeldOut {
    let mut users: Vec<usize> = (0..data.users_len())
        .filter(|&user| has_target(data, user))
        .collect();
    let wanted = ((users.len() as f64 * limits.share).ceil() as usize).min(limits.most);
    draw(&mut users, wanted, &mut Seeded::new(seed, 0));
    let of_slots = SlotExamples::draw(data, limits, seed);

    let mut builder = data.begin_part();
    let mut last = Vec::with_capacity(users.len());
    let mut held = users.into_iter().peekable();
    for user in 0..data.users_len() {
        builder.push_user();
        let mut entries = data.occurrences(user);
        if held.next_if_eq(&user).is_some()
            && let Some(target) = entries.pop()
        {
            last.push(Example::new(&entries, target.item, target.time_s));
        }
        if let Some(&from_s) = of_slots.held_from_s.get(&user) {
            entries.retain(|entry| entry.time_s < from_s);
        }
        for entry in entries {
            builder.push(user as u32, entry.item, entry.weight, entry.time_s);
        }
    }
    let mut rest = builder.build();
    if !data.contents().is_empty() {
        rest = rest.with_contents(data.contents().to_vec());
    }
    HeldOut {
        rest,
        last,
        slots: of_slots.examples,
    }
}

/// Leaves `wanted` of `all`, or as many as there are, drawn evenly, in their order.
pub(super) fn draw(all: &mut Vec<usize>, wanted: usize, random: &mut Seeded) {
    for at in 0..wanted.min(all.len()) {
        let other = at + random.below(all.len() - at);
        all.swap(at, other);
    }
    all.truncate(wanted);
    all.sort_unstable();
}

/// Whether a user's last entry is liked and something stands before it.
fn has_target(data: &Interactions, user: usize) -> bool {
    if data.sequence(user).items.len() < 2 {
        return false;
    }
    let entries = data.occurrences(user);
    entries.len() >= 2 && entries.last().is_some_and(|last| last.weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interactions::InteractionsBuilder;

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

    fn limits(most: usize) -> Limits {
        Limits {
            share: 1.0,
            most,
            slot_min: 1,
        }
    }

    #[test]
    fn nothing_held_out_leaves_the_data_as_they_are() {
        for keeps_repeats in [false, true] {
            let all = data(keeps_repeats);
            let held = hold_out(&all, limits(0), 1);
            assert_eq!((held.rest, held.last), (all, vec![]));
        }
    }

    #[test]
    fn the_last_liked_item_is_taken_out_and_the_history_has_what_came_before() {
        let HeldOut {
            rest,
            last: examples,
            ..
        } = hold_out(&data(true), limits(9), 1);
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
