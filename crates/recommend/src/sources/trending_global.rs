//! What is popular with everybody.

use super::Source;
use crate::answer::Rung;
use crate::query::Query;
use nowcast_store::ItemIdx;

/// Everybody's popular items.
pub(super) struct TrendingGlobalSource;

impl Source for TrendingGlobalSource {
    fn name(&self) -> &'static str {
        "trending_global"
    }

    fn rung(&self) -> Rung {
        Rung::Trending
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        !query.trending.tables.global.is_empty()
    }

    fn fetch(&self, query: &Query<'_>, limit: usize, out: &mut Vec<ItemIdx>) {
        let list = &query.trending.tables.global;
        super::take_admitted(query, limit, list.iter().map(|(item, _)| *item), out);
    }
}
