//! Short and long popularity and click-through rate, from the tables rebuilt in the background.

use super::Hydrator;
use crate::candidate::Candidate;
use crate::live::Trending;
use crate::query::Query;

/// Fills `trending`, `popularity` and `ctr`.
pub(super) struct PopularityHydrator;

impl Hydrator for PopularityHydrator {
    fn name(&self) -> &'static str {
        "popularity"
    }

    fn hydrate(&self, query: &Query<'_>, candidates: &mut [Candidate]) {
        let Trending { tables, ctr } = &*query.trending;
        for candidate in candidates {
            let Some(item) = candidate.item else {
                continue;
            };
            let of_item = |column: &[f32]| column.get(item.0 as usize).copied().unwrap_or(0.0);
            candidate.trending = of_item(&tables.trending);
            candidate.popularity = of_item(&tables.popular);
            candidate.ctr = of_item(ctr);
        }
    }
}
