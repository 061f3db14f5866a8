//! How often the candidate is clicked when it is shown.

use super::Scorer;
use crate::answer::Rung;
use crate::candidate::Candidate;
use crate::query::Query;

/// The smoothed click-through rate.
pub(super) struct CtrScorer;

impl Scorer for CtrScorer {
    fn name(&self) -> &'static str {
        "ctr"
    }

    fn rung(&self) -> Rung {
        Rung::Trending
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        !query.trending.ctr.is_empty()
    }

    fn score(&self, _query: &Query<'_>, candidates: &[Candidate], out: &mut [f32]) {
        super::score_each(candidates, out, |candidate, _| candidate.ctr);
    }
}
