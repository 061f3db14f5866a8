//! How much the subject returns to the candidate: `ln(1 + strength)` of all its interactions.

use super::Scorer;
use crate::answer::Rung;
use crate::candidate::Candidate;
use crate::query::Query;

/// Damped total strength of the subject's own interactions.
pub(super) struct RepeatScorer;

impl Scorer for RepeatScorer {
    fn name(&self) -> &'static str {
        "repeat"
    }

    fn rung(&self) -> Rung {
        Rung::Personalized
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        !query.touched.is_empty()
    }

    fn score(&self, query: &Query<'_>, _candidates: &[Candidate], out: &mut [f32]) {
        for touched in &query.touched {
            if let Some(at) = query.candidate(touched.item) {
                out[at] = touched.strength.signum() * touched.strength.abs().ln_1p();
            }
        }
    }
}
