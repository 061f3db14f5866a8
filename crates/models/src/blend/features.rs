//! What the combination knows of a candidate: a few numbers for each part, by the part's score and
//! the best scores that the part gives the same user.

use crate::model::Scored;

/// Numbers for each part.
pub(super) const FEATURES: usize = 5;

/// Scores this share of the best say as little as none.
const SMALLEST_SHARE: f32 = 1e-3;

/// The most that a feature says for or against a candidate.
const LARGEST: f32 = 4.0;

/// The scores of one part for one user.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale<'a> {
    /// The best, best first, at most `depth`.
    best: &'a [Scored],
    depth: usize,
    /// Where a score says nothing: 0 if most items have it, else the last of the best.
    floor: f32,
}

impl<'a> Scale<'a> {
    /// The scale of the first `depth` of `best`.
    pub(super) fn new(best: &'a [Scored], depth: usize, is_dense: bool) -> Self {
        let best = &best[..depth.min(best.len())];
        let last = best.last().map_or(0.0, |last| last.score);
        let floor = if is_dense { last } else { 0.0 };
        Self { best, depth, floor }
    }

    /// How far the best score stands above nothing.
    pub(super) fn height(&self) -> f32 {
        let best = self.best.first().map_or(0.0, |best| best.score);
        (best - self.floor).clamp(0.0, f32::MAX)
    }

    /// The features of a score. `typical` is a usual height.
    pub(super) fn features(&self, score: f32, typical: f32) -> [f32; FEATURES] {
        let height = self.height();
        let Some(best) = self.best.first().map(|best| best.score) else {
            return [0.0; FEATURES];
        };
        let above = (score - self.floor).clamp(f32::MIN, f32::MAX);
        let ratio = |over: f32| {
            if over > 0.0 {
                (above / over).clamp(-1.0, LARGEST)
            } else {
                0.0
            }
        };
        let logarithm = if score > 0.0 && best > 0.0 {
            (1.0 - (score / best).ln() / SMALLEST_SHARE.ln()).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let better = self.best.partition_point(|other| other.score > score);
        let is_listed = self.best.last().is_some_and(|last| score >= last.score);
        let (mut reciprocal, mut log_rank) = (0.0, 0.0);
        if is_listed {
            reciprocal = 1.0 / (1.0 + better as f32);
            log_rank = 1.0 - (better as f32).ln_1p() / (self.depth as f32).ln_1p();
        }
        [
            ratio(height),
            logarithm,
            log_rank,
            ratio(typical),
            reciprocal,
        ]
    }
}
