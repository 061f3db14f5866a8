//! How alike the items of one list are, by who had to do with them.

use nowcast_models::{Interactions, Transposed};

/// The users of each item, to compare items by.
#[derive(Debug)]
pub(super) struct Similarity {
    by_item: Transposed,
}

impl Similarity {
    pub(super) fn of(data: &Interactions) -> Self {
        Self {
            by_item: data.transposed(),
        }
    }

    /// Mean of `1 - cosine` over the pairs of a list, items as sets of their train users; an item
    /// that nobody had is unlike all. `None` for a list without a pair.
    pub(super) fn diversity(&self, list: &[u32]) -> Option<f64> {
        let mut alike = 0.0;
        for (at, &item) in list.iter().enumerate() {
            alike += list[at + 1..]
                .iter()
                .map(|&other| self.cosine(item, other))
                .sum::<f64>();
        }
        let pairs = list.len() * list.len().saturating_sub(1) / 2;
        (pairs > 0).then(|| 1.0 - alike / pairs as f64)
    }

    fn cosine(&self, a: u32, b: u32) -> f64 {
        let (a, b) = (self.users(a), self.users(b));
        let (mut at_a, mut at_b, mut common) = (0, 0, 0_usize);
        while at_a < a.len() && at_b < b.len() {
            let order = a[at_a].cmp(&b[at_b]);
            common += usize::from(order.is_eq());
            at_a += usize::from(order.is_le());
            at_b += usize::from(order.is_ge());
        }
        common as f64 / (a.len() as f64 * b.len() as f64).sqrt().max(1.0)
    }

    fn users(&self, item: u32) -> &[u32] {
        self.by_item.row(item as usize).0
    }
}

/// Mean of those that exist.
pub(super) fn mean_of_some(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_u64);
    for value in values.flatten() {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_models::InteractionsBuilder;

    #[test]
    fn items_of_the_same_users_are_alike_and_of_others_are_not() {
        let ids = ["a", "b", "c", "d"].into_iter().collect();
        let mut builder = InteractionsBuilder::new(ids);
        for (user, item) in [(0, 0), (1, 0), (0, 1), (1, 1), (1, 2), (2, 2)] {
            builder.push(user, item, 1.0, 0);
        }
        let similarity = Similarity::of(&builder.build());
        assert!(similarity.diversity(&[0, 1]).unwrap().abs() < 1e-12);
        // a and c share one of two users each.
        assert!((similarity.diversity(&[0, 2]).unwrap() - 0.5).abs() < 1e-12);
        assert_eq!(similarity.diversity(&[0, 3]), Some(1.0), "nobody had d");
        // Pairs: a b 0, a c 0.5, b c 0.5.
        assert!((similarity.diversity(&[0, 1, 2]).unwrap() - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(similarity.diversity(&[0]), None);
        assert_eq!(
            mean_of_some([None, Some(1.0), Some(2.0)].into_iter()),
            Some(1.5)
        );
    }
}
