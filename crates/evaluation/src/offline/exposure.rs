//! What the lists did to the catalogue: how much of it was shown, how evenly, how surprising.

/// Counts how often each item was recommended.
#[derive(Debug, Clone)]
pub(super) struct Exposure {
    shown: Vec<u64>,
}

impl Exposure {
    pub(super) fn new(items_len: usize) -> Self {
        Self {
            shown: vec![0; items_len],
        }
    }

    pub(super) fn add(&mut self, list: &[u32]) {
        for &item in list {
            self.shown[item as usize] += 1;
        }
    }

    /// Share of the items shown at least once.
    pub(super) fn coverage(&self) -> f64 {
        let shown = self.shown.iter().filter(|count| **count > 0).count();
        shown as f64 / self.shown.len().max(1) as f64
    }

    /// Gini coefficient of the counts of all items: 0 all alike, near 1 all on one.
    pub(super) fn gini(&self) -> f64 {
        let mut counts = self.shown.clone();
        counts.sort_unstable();
        let total: u64 = counts.iter().sum();
        let n = counts.len() as f64;
        let ranked = (1_u64..)
            .zip(&counts)
            .map(|(rank, c)| rank as f64 * *c as f64);
        if total == 0 {
            return 0.0;
        }
        2.0 * ranked.sum::<f64>() / (n * total as f64) - (n + 1.0) / n
    }

    /// Mean of `-log2(rows with the item / rows)` over all recommendations (Zhou et al. 2010);
    /// an item of no row counts as of one.
    pub(super) fn novelty(&self, rows_by_item: &[u32], rows_len: usize) -> f64 {
        let total: u64 = self.shown.iter().sum();
        let surprise = |rows: u32| (rows_len.max(1) as f64 / f64::from(rows.max(1))).log2();
        let counted = self.shown.iter().zip(rows_by_item);
        let sum: f64 = counted.map(|(c, rows)| *c as f64 * surprise(*rows)).sum();
        sum / total.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposure_equals_what_a_hand_computes() {
        let mut exposure = Exposure::new(4);
        exposure.add(&[0, 1]);
        exposure.add(&[0]);
        assert_eq!(exposure.coverage(), 0.5);
        // Counts 0 0 1 2: 2 · (3·1 + 4·2) / (4 · 3) - 5 / 4.
        assert!((exposure.gini() - 7.0 / 12.0).abs() < 1e-12);
        // Item 0 is in 2 of 4 rows (1 bit, twice), item 1 in 1 of 4 (2 bits).
        assert!((exposure.novelty(&[2, 1, 0, 0], 4) - 4.0 / 3.0).abs() < 1e-12);
        let none = Exposure::new(3);
        assert_eq!((none.coverage(), none.gini()), (0.0, 0.0));
    }
}
