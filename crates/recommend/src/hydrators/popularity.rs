//! Popularity and click-through rate, from the tables rebuilt in the background.

use super::Hydrator;
use crate::candidate::Candidate;
use crate::query::Query;

/// Fills `popularity` and `ctr`.
pub(super) struct PopularityHydrator;

impl Hydrator for PopularityHydrator {
    fn name(&self) -> &'static str {
        "popularity"
    }

    fn hydrate(&self, query: &Query<'_>, candidates: &mut [Candidate]) {
        let trending = &query.trending;
        for candidate in candidates {
            let Some(item) = candidate.item else {
                continue;
            };
            let at = item.0 as usize;
            candidate.popularity = trending.popularity.get(at).copied().unwrap_or(0.0);
            candidate.ctr = trending.ctr.get(at).copied().unwrap_or(0.0);
        }
    }
}
