//! How popular the candidate is with everybody in the long run: `ln(1 + popularity)` by the long
//! half-life.

use super::Scorer;
use crate::answer::Rung;
use crate::candidate::Candidate;
use crate::query::Query;

/// Damped popularity in the long run.
pub(super) struct PopularityScorer;

impl Scorer for PopularityScorer {
    fn name(&self) -> &'static str {
        "popularity"
    }

    fn rung(&self) -> Rung {
        Rung::Trending
    }

    fn score(&self, _query: &Query<'_>, candidates: &[Candidate], out: &mut [f32]) {
        super::score_each(candidates, out, |candidate, _| {
            candidate.popularity.max(0.0).ln_1p()
        });
    }
}
