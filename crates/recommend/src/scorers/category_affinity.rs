//! How much the subject cares for the candidate's categories.

use super::Scorer;
use crate::answer::Rung;
use crate::candidate::Candidate;
use crate::query::Query;

/// The decayed affinity of the best-loved category.
pub(super) struct CategoryAffinityScorer;

impl Scorer for CategoryAffinityScorer {
    fn name(&self) -> &'static str {
        "category_affinity"
    }

    fn rung(&self) -> Rung {
        Rung::Personalized
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        !query.profile.affinity.is_empty()
    }

    fn score(&self, query: &Query<'_>, candidates: &[Candidate], out: &mut [f32]) {
        let affinity = &query.profile.affinity;
        super::score_each(candidates, out, |_, item| {
            let categories = query.view.categories(item);
            let loved = affinity
                .iter()
                .find(|(category, _)| categories.contains(category));
            loved.map_or(0.0, |(_, weight)| *weight)
        });
    }
}
