//! How recently the subject touched the candidate: `1 / (1 + n)` for the n-th last touched item.
//! The strongest sign of all when a list is re-ranked within a session.

use super::Scorer;
use crate::answer::Rung;
use crate::candidate::Candidate;
use crate::query::Query;

/// Reciprocal order of the last touch; negative for what the subject dislikes.
pub(super) struct TouchScorer;

impl Scorer for TouchScorer {
    fn name(&self) -> &'static str {
        "touch"
    }

    fn rung(&self) -> Rung {
        Rung::Personalized
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        !query.touched.is_empty()
    }

    fn score(&self, query: &Query<'_>, _candidates: &[Candidate], out: &mut [f32]) {
        for (order, touched) in query.touched.iter().enumerate() {
            if let Some(at) = query.candidate(touched.item) {
                out[at] = touched.strength.signum() / (1.0 + order as f32);
            }
        }
    }
}
