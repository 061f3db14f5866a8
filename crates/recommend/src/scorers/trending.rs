//! How popular the candidate has been with everybody of late: `ln(1 + popularity)` by the short
//! half-life.

use super::Scorer;
use crate::answer::Rung;
use crate::candidate::Candidate;
use crate::query::Query;

/// Damped popularity of late.
pub(super) struct TrendingScorer;

impl Scorer for TrendingScorer {
    fn name(&self) -> &'static str {
        "trending"
    }

    fn rung(&self) -> Rung {
        Rung::Trending
    }

    fn score(&self, _query: &Query<'_>, candidates: &[Candidate], out: &mut [f32]) {
        super::score_each(candidates, out, |candidate, _| {
            candidate.trending.max(0.0).ln_1p()
        });
    }
}
