//! What is popular in the categories the subject cares for most.

use super::Source;
use crate::answer::Rung;
use crate::query::Query;
use nowcast_store::ItemIdx;

/// Most categories looked at, the dearest first.
const CATEGORIES_MAX: usize = 4;

/// The popular items of the dearest categories, an equal share of each.
pub(super) struct TrendingCategorySource;

impl Source for TrendingCategorySource {
    fn name(&self) -> &'static str {
        "trending_category"
    }

    fn rung(&self) -> Rung {
        Rung::Personalized
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        !query.profile.affinity.is_empty()
    }

    fn fetch(&self, query: &Query<'_>, limit: usize, out: &mut Vec<ItemIdx>) {
        let dear = query
            .profile
            .affinity
            .iter()
            .filter(|(_, weight)| *weight > 0.0);
        let lists: Vec<_> = dear
            .filter_map(|(category, _)| query.trending.tables.categories.get(category))
            .take(CATEGORIES_MAX)
            .collect();
        let share = limit.div_ceil(lists.len().max(1));
        for list in lists {
            let admitted = list
                .iter()
                .map(|(item, _)| *item)
                .filter(|item| query.admits(*item));
            for item in admitted.take(share) {
                // An item of two categories comes once; lists are short, so looking is cheap.
                if out.len() < limit && !out.contains(&item) {
                    out.push(item);
                }
            }
        }
    }
}
