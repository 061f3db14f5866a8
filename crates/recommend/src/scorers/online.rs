//! What the online ranker has learnt from outcomes so far.

use super::Scorer;
use crate::answer::Rung;
use crate::candidate::Candidate;
use crate::query::Query;

/// The online ranker's score.
pub(super) struct OnlineScorer;

impl Scorer for OnlineScorer {
    fn name(&self) -> &'static str {
        super::ONLINE
    }

    fn rung(&self) -> Rung {
        Rung::Personalized
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        query.ranker.knows_something()
    }

    fn score(&self, query: &Query<'_>, candidates: &[Candidate], out: &mut [f32]) {
        query.ranker.score(query.facts(candidates), out);
    }
}
