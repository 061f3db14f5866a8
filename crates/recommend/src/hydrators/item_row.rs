//! Leading category and age, from the catalogue's snapshot.

use super::Hydrator;
use crate::candidate::Candidate;
use crate::query::Query;

/// Fills `category` and `age_ms`.
pub(super) struct ItemRowHydrator;

impl Hydrator for ItemRowHydrator {
    fn name(&self) -> &'static str {
        "item_row"
    }

    fn hydrate(&self, query: &Query<'_>, candidates: &mut [Candidate]) {
        for candidate in candidates {
            let Some(item) = candidate.item else {
                continue;
            };
            candidate.category = query.view.categories(item).first().copied();
            let published_at = query.view.published_at(item);
            candidate.age_ms = published_at.map(|at| query.now().since_ms(at));
        }
    }
}
