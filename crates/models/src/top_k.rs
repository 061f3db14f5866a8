//! Keeps the best `k` of a stream of scores: a buffer of twice that and a rising threshold,
//! instead of a heap or a sort of everything.

use crate::model::Scored;
use std::cmp::Ordering;

/// Best first; equal scores in ascending item. Total on finite scores.
#[must_use]
pub fn best_first(a: &Scored, b: &Scored) -> Ordering {
    b.score.total_cmp(&a.score).then(a.item.cmp(&b.item))
}

/// The best `k` so far.
#[derive(Debug, Clone)]
pub struct TopK {
    k: usize,
    kept: Vec<Scored>,
    threshold: f32,
}

impl TopK {
    /// Keeps up to `k`.
    #[must_use]
    pub fn new(k: usize) -> Self {
        Self {
            k,
            kept: Vec::new(),
            threshold: if k == 0 {
                f32::INFINITY
            } else {
                f32::NEG_INFINITY
            },
        }
    }

    /// A score below this cannot enter; one equal to it may, by the smaller item.
    #[must_use]
    pub const fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Offers one score; NaN is ignored.
    #[inline]
    pub fn push(&mut self, item: u32, score: f32) {
        if score >= self.threshold && self.k > 0 {
            self.kept.push(Scored { item, score });
            if self.kept.len() >= self.k.saturating_mul(2).max(64) {
                self.shrink();
            }
        }
    }

    #[cold]
    fn shrink(&mut self) {
        if self.kept.len() <= self.k {
            return;
        }
        self.kept.select_nth_unstable_by(self.k - 1, best_first);
        self.kept.truncate(self.k);
        self.threshold = self.kept[self.k - 1].score;
    }

    /// The best, best first, replacing `out`.
    pub fn finish_into(mut self, out: &mut Vec<Scored>) {
        if self.k > 0 {
            self.shrink();
        }
        self.kept.sort_unstable_by(best_first);
        out.clear();
        out.append(&mut self.kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_keeps_what_a_full_sort_would(
            scores in prop::collection::vec(-5_i32..5, 0..400),
            k in 0_usize..90,
        ) {
            let mut all: Vec<Scored> = (0_u32..)
                .zip(&scores)
                .map(|(item, s)| Scored { item, score: *s as f32 })
                .collect();
            let mut top = TopK::new(k);
            for one in &all {
                top.push(one.item, one.score);
            }
            let mut kept = Vec::new();
            top.finish_into(&mut kept);
            all.sort_by(best_first);
            all.truncate(k);
            prop_assert_eq!(kept, all);
        }
    }

    #[test]
    fn nan_never_enters() {
        let mut top = TopK::new(2);
        top.push(1, f32::NAN);
        top.push(2, 1.0);
        let mut kept = Vec::new();
        top.finish_into(&mut kept);
        assert_eq!(kept.len(), 1);
    }
}
