//! What the request asks to leave out.

use super::Filter;
use crate::query::Query;
use nowcast_store::ItemIdx;

/// Removes the items in `exclude`.
pub(super) struct ExcludedFilter;

impl Filter for ExcludedFilter {
    fn name(&self) -> &'static str {
        "excluded"
    }

    fn reasons(&self) -> &'static [&'static str] {
        &["excluded"]
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        !query.request.exclude.is_empty()
    }

    fn check(&self, query: &Query<'_>, item: ItemIdx) -> Option<usize> {
        query.is_excluded(item).then_some(0)
    }
}
