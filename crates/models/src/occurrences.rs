//! What a user did time by time, out of the rows and the sequences kept beside them, and how a part of
//! the data is built of that.

use crate::interactions::{Interactions, InteractionsBuilder};

/// Something that a user did once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Occurrence {
    /// Dense item index.
    pub item: u32,
    /// Signed strength: of a pair of user and item that occurs often, an equal share.
    pub weight: f32,
    /// Seconds since the epoch; 0 where unknown.
    pub time_s: u32,
}

impl Interactions {
    /// What a user did, oldest first, repeats apart. Items of the row that the sequence lacks,
    /// disliked or older than what it keeps, come first.
    ///
    /// # Panics
    /// When `user` is not below [`Interactions::users_len`].
    #[must_use]
    pub fn occurrences(&self, user: usize) -> Vec<Occurrence> {
        let (row, sequence) = (self.row(user), self.sequence(user));
        let mut items: Vec<u32> = sequence.items.to_vec();
        items.sort_unstable();
        let count = |item: u32| {
            let from = items.partition_point(|other| *other < item);
            items.partition_point(|other| *other <= item) - from
        };
        let mut shares: Vec<(u32, f32)> = Vec::with_capacity(row.items.len());
        let mut all = Vec::with_capacity(sequence.items.len());
        for ((&item, &weight), &time_s) in row.items.iter().zip(row.weights).zip(row.times_s) {
            match count(item) {
                0 => all.push(Occurrence {
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
                all.push(Occurrence {
                    item,
                    weight,
                    time_s,
                });
            }
        }
        all
    }

    /// Starts a part of these data: the same items and no user yet; repeats are kept if they are here.
    #[must_use]
    pub fn begin_part(&self) -> InteractionsBuilder {
        let builder = InteractionsBuilder::new(self.item_ids().clone());
        if self.keeps_repeats() {
            builder.with_repeats()
        } else {
            builder
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_built_of_all_occurrences_are_the_data() {
        for keeps_repeats in [false, true] {
            let mut builder = InteractionsBuilder::new(["a", "b", "c"].into_iter().collect());
            if keeps_repeats {
                builder = builder.with_repeats();
            }
            for (user, item, weight, time_s) in [
                (0, 0, 1.0, 10),
                (0, 1, 1.0, 20),
                (0, 0, 1.0, 30),
                (2, 0, 1.0, 10),
                (2, 2, -1.0, 20),
            ] {
                builder.push(user, item, weight, time_s);
            }
            let data = builder.build();
            let mut part = data.begin_part();
            for user in 0..data.users_len() {
                let number = part.push_user();
                for one in data.occurrences(user) {
                    part.push(number, one.item, one.weight, one.time_s);
                }
            }
            assert_eq!(part.build(), data);
            let items: Vec<u32> = data.occurrences(0).iter().map(|one| one.item).collect();
            let expected: &[u32] = if keeps_repeats { &[0, 1, 0] } else { &[1, 0] };
            assert_eq!(items, expected);
        }
    }
}
