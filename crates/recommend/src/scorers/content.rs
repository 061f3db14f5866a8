//! How like the recent history the candidate is in categories, tags and words.

use super::Scorer;
use crate::answer::Rung;
use crate::candidate::Candidate;
use crate::query::Query;

/// Cosine of the contents.
pub(super) struct ContentScorer;

impl Scorer for ContentScorer {
    fn name(&self) -> &'static str {
        "content"
    }

    fn rung(&self) -> Rung {
        Rung::Personalized
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        query.content.is_some()
    }

    fn score(&self, query: &Query<'_>, candidates: &[Candidate], out: &mut [f32]) {
        let Some(content) = &query.content else {
            return;
        };
        let key = |candidate: &Candidate| candidate.item.map_or(u32::MAX, |item| item.0);
        let keys: Vec<u32> = candidates.iter().map(key).collect();
        content.index.score(&content.profile, &keys, out);
    }
}
