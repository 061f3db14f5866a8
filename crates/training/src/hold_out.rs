//! Keeps back the newest liked item of some users, so that a model can be asked for it.
//!
//! Users are folded in when they come, so a model trained without these few interactions loses
//! next to nothing and can be published as it is.

use nowcast_models::seeded::Seeded;
use nowcast_models::{HistoryItem, Interactions, Occurrence};

/// A user to guess for.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// What was known before, oldest first.
    pub history: Vec<HistoryItem>,
    /// What came next.
    pub item: u32,
}

/// Fewest interactions of a user who can be held out.
const ROW_MIN: usize = 3;

/// Takes the last entry of up to `users_max` users, and at most a tenth of all, if it is positive.
#[must_use]
pub fn hold_out(data: &Interactions, users_max: usize, seed: u64) -> (Interactions, Vec<HeldOut>) {
    let is_eligible = |user: &usize| {
        let row = data.row(*user);
        row.items.len() >= ROW_MIN && row.weights[row.items.len() - 1] > 0.0
    };
    let mut drawn: Vec<(u64, usize)> = (0..data.users_len())
        .filter(is_eligible)
        .map(|user| (Seeded::new(seed, user as u64).next_u64(), user))
        .collect();
    drawn.sort_unstable();
    drawn.truncate(users_max.min(data.users_len() / 10));
    let mut is_held = vec![false; data.users_len()];
    for (_, user) in &drawn {
        is_held[*user] = true;
    }

    let mut rest = data.begin_part();
    let mut held = Vec::with_capacity(drawn.len());
    for (user, row) in data.rows().enumerate() {
        let number = rest.push_user();
        let mut known = data.occurrences(user);
        if is_held[user]
            && let (Some(&item), Some(&time_s)) = (row.items.last(), row.times_s.last())
        {
            known.retain(|one| one.item != item);
            let entry = |one: &Occurrence| HistoryItem {
                item: one.item,
                weight: one.weight,
                age_s: time_s.saturating_sub(one.time_s),
            };
            let history = known.iter().map(entry).collect();
            held.push(HeldOut { history, item });
        }
        for one in known {
            rest.push(number, one.item, one.weight, one.time_s);
        }
    }
    // What came of a list and is held out is no longer in any row, and so says nothing.
    let outcomes = data.slot_outcomes().clone();
    let mut rest = rest.build().with_slot_outcomes(outcomes);
    if !data.contents().is_empty() {
        rest = rest.with_contents(data.contents().to_vec());
    }
    (rest, held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_models::InteractionsBuilder;

    #[test]
    fn the_newest_entry_is_kept_back_and_nothing_else() {
        let ids = (0..50).map(|i| format!("i{i}")).collect();
        let mut builder = InteractionsBuilder::new(ids);
        for user in 0..100 {
            for step in 0..5 {
                builder.push(user, (user + step) % 50, 1.0, 1000 + step);
            }
        }
        let data = builder.build();
        let (rest, held) = hold_out(&data, 7, 1);
        assert_eq!((rest.len(), held.len()), (493, 7));
        assert_eq!(rest.users_len(), 100);
        for user in &held {
            assert_eq!(user.history.len(), 4);
            assert!(user.history.iter().all(|entry| entry.item != user.item));
            assert_eq!(user.history[3].age_s, 1);
        }
        assert_eq!(hold_out(&data, 1000, 1).1.len(), 10, "a tenth");
    }
}
