//! How much company the candidate keeps with the items of the recent history.

use super::Scorer;
use crate::answer::Rung;
use crate::candidate::Candidate;
use crate::query::Query;

/// Live co-visitation evidence.
pub(super) struct CovisitScorer;

impl Scorer for CovisitScorer {
    fn name(&self) -> &'static str {
        "covisit"
    }

    fn rung(&self) -> Rung {
        Rung::Personalized
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        !query.covisited.is_empty()
    }

    fn score(&self, query: &Query<'_>, candidates: &[Candidate], out: &mut [f32]) {
        super::score_each(candidates, out, |_, item| query.covisit(item));
    }
}
