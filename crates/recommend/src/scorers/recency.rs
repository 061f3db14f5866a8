//! How new the candidate is: halves with every week since publication.

use super::Scorer;
use crate::answer::Rung;
use crate::candidate::Candidate;
use crate::query::Query;

/// Time in which the score halves, in milliseconds.
const HALF_LIFE_MS: f32 = 7.0 * 86_400_000.0;

/// Exponential decay of the age; nothing for items without a publication date.
pub(super) struct RecencyScorer;

impl Scorer for RecencyScorer {
    fn name(&self) -> &'static str {
        "recency"
    }

    fn rung(&self) -> Rung {
        Rung::Trending
    }

    fn score(&self, _query: &Query<'_>, candidates: &[Candidate], out: &mut [f32]) {
        super::score_each(candidates, out, |candidate, _| {
            let age_ms = candidate.age_ms.map(|age_ms| age_ms.max(0) as f32);
            age_ms.map_or(0.0, |age_ms| (-age_ms / HALF_LIFE_MS).exp2())
        });
    }
}
