//! Where the caller had put the candidate: `1 / (1 + position)`. Lists that are brought usually
//! come in a good order already.

use super::Scorer;
use crate::answer::Rung;
use crate::candidate::Candidate;
use crate::query::Query;

/// Reciprocal place in the caller's list; says nothing about candidates of our own sources.
pub(super) struct PositionScorer;

impl Scorer for PositionScorer {
    fn name(&self) -> &'static str {
        "position"
    }

    fn rung(&self) -> Rung {
        Rung::Static
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        query.is_rerank()
    }

    fn score(&self, _query: &Query<'_>, candidates: &[Candidate], out: &mut [f32]) {
        for (candidate, out) in candidates.iter().zip(out) {
            *out = 1.0 / (1.0 + candidate.position as f32);
        }
    }
}
