//! What came of the lists of slots, as examples to learn the slots' own weights from.

use super::held_out::{Example, Limits, draw};
use crate::interactions::Interactions;
use crate::occurrences::Occurrence;
use crate::seeded::Seeded;
use crate::slot_outcomes::SlotOutcome;
use std::collections::HashMap;

/// Examples of the slots that have enough of them.
pub(super) struct SlotExamples {
    /// With the slot's name.
    pub(super) examples: Vec<(String, Vec<Example>)>,
    /// From when on nothing of a user may be trained on, by user: the oldest of their examples.
    pub(super) held_from_s: HashMap<usize, u32>,
}

impl SlotExamples {
    /// The newest outcome of each user in each slot, or as many of a slot as `limits` allow, drawn
    /// evenly. Slots with fewer than it asks for have none.
    pub(super) fn draw(data: &Interactions, limits: Limits, seed: u64) -> Self {
        let mut all = Self {
            examples: Vec::new(),
            held_from_s: HashMap::new(),
        };
        if limits.slot_min == 0 || limits.most == 0 {
            return all;
        }
        for (number, (name, outcomes)) in (1..).zip(data.slot_outcomes().slots()) {
            let mut usable: Vec<usize> = (0..outcomes.len())
                .filter(|&at| is_usable(data, &outcomes[at]))
                .collect();
            if usable.len() < limits.slot_min {
                continue;
            }
            draw(&mut usable, limits.most, &mut Seeded::new(seed, number));
            let drawn = usable.iter().map(|at| &outcomes[*at]);
            let examples = drawn.clone().map(|outcome| example(data, outcome));
            all.examples.push((name.to_owned(), examples.collect()));
            for outcome in drawn {
                let from_s = all.held_from_s.entry(outcome.user as usize);
                let oldest = from_s.or_insert(outcome.time_s);
                *oldest = outcome.time_s.min(*oldest);
            }
        }
        all
    }
}

fn is_before(entry: &Occurrence, outcome: &SlotOutcome) -> bool {
    entry.time_s < outcome.time_s
}

/// Whether the item is still liked and at least half of what the user did came before it: else the
/// parts would lose more than the example is worth.
fn is_usable(data: &Interactions, outcome: &SlotOutcome) -> bool {
    if outcome.user as usize >= data.users_len() {
        return false;
    }
    let entries = data.occurrences(outcome.user as usize);
    let is_target = |entry: &Occurrence| entry.item == outcome.item && !is_before(entry, outcome);
    let is_liked = |entry: &Occurrence| is_target(entry) && entry.weight > 0.0;
    let before = entries.iter().filter(|entry| is_before(entry, outcome));
    let before = before.count();
    before > 0 && before * 2 >= entries.len() && entries.iter().any(is_liked)
}

fn example(data: &Interactions, outcome: &SlotOutcome) -> Example {
    let mut history = data.occurrences(outcome.user as usize);
    history.retain(|entry| is_before(entry, outcome));
    Example::new(&history, outcome.item, outcome.time_s)
}

#[cfg(test)]
mod tests {
    use super::super::held_out::hold_out;
    use super::*;
    use crate::interactions::InteractionsBuilder;
    use crate::slot_outcomes::SlotOutcomes;

    fn outcome(slot: u32, user: u32, item: u32, time_s: u32) -> SlotOutcome {
        SlotOutcome {
            slot,
            user,
            item,
            time_s,
        }
    }

    /// Three users who do 0 to 5 at 10, 20, ... 60; the last has an item less.
    fn data(outcomes: Vec<SlotOutcome>) -> Interactions {
        let ids = ["a", "b", "c", "d", "e", "f"].into_iter().collect();
        let mut builder = InteractionsBuilder::new(ids);
        for (user, items) in [(0, 6), (1, 6), (2, 5)] {
            for item in 0..items {
                builder.push(user, item, 1.0, 10 * (item + 1));
            }
        }
        let names = ["home", "basket"].map(str::to_owned).to_vec();
        let outcomes = SlotOutcomes::new(names, outcomes);
        builder.build().with_slot_outcomes(outcomes)
    }

    fn limits(slot_min: usize) -> Limits {
        Limits {
            share: 0.0,
            most: 9,
            slot_min,
        }
    }

    #[test]
    fn nothing_from_the_oldest_example_of_a_user_on_is_left_to_train_on() {
        let outcomes = vec![
            outcome(0, 0, 3, 40),
            outcome(1, 0, 4, 50),
            outcome(0, 1, 3, 40),
            outcome(0, 1, 5, 60),
        ];
        let held = hold_out(&data(outcomes), limits(1), 1);
        assert_eq!(held.rest.row(0).items, &[0, 1, 2]);
        assert_eq!(
            held.rest.row(1).items,
            &[0, 1, 2, 3, 4],
            "the newest counts"
        );
        assert_eq!(held.rest.row(2).items, &[0, 1, 2, 3, 4]);
        let found = |slot: usize| -> Vec<(u32, Vec<u32>)> {
            let items = |example: &Example| example.history.iter().map(|e| e.item).collect();
            let examples = held.slots[slot].1.iter();
            examples.map(|e| (e.target, items(e))).collect()
        };
        assert_eq!(held.slots[0].0, "home");
        assert_eq!(found(0), [(3, vec![0, 1, 2]), (5, vec![0, 1, 2, 3, 4])]);
        assert_eq!(held.slots[1].0, "basket");
        assert_eq!(found(1), [(4, vec![0, 1, 2, 3])]);
        let ages = held.slots[1].1[0].history.iter().map(|entry| entry.age_s);
        assert_eq!(ages.collect::<Vec<u32>>(), [40, 30, 20, 10]);
    }

    #[test]
    fn outcomes_of_little_use_do_not_count_and_slots_with_too_few_have_no_example() {
        let useless = vec![
            outcome(0, 0, 1, 20),
            outcome(0, 1, 0, 60),
            outcome(0, 7, 0, 60),
        ];
        let all = data(useless);
        let held = hold_out(&all, limits(1), 1);
        assert!(held.slots.is_empty(), "too early, undone, nobody: {held:?}");
        assert_eq!(held.rest.row(0), all.row(0));
        let two = vec![outcome(0, 0, 5, 60), outcome(0, 1, 5, 60)];
        for (slot_min, slots) in [(2, 1), (3, 0), (0, 0)] {
            let held = hold_out(&data(two.clone()), limits(slot_min), 1);
            assert_eq!(held.slots.len(), slots, "at least {slot_min}");
        }
    }
}
