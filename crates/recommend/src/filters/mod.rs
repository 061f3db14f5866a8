//! What may not be recommended. To add a filter: one new file here and one line in [`registry`].
//!
//! Filters judge single items, so that sources can ask while they retrieve and no room is wasted
//! on items that would go later. Repetitions are not a matter of one item: the executor merges
//! them.

mod excluded;
mod expression;
mod live;
mod seen;

use crate::query::Query;
use nowcast_store::ItemIdx;

/// Says of an item whether and why it must not be in the answer.
///
/// Contract: depends on query and item alone, never on other candidates; costs nanoseconds where
/// it can, because a retrieval asks thousands of times; reasons are enumerated in `reasons`.
pub trait Filter: Sync {
    /// The name in metrics and explanations.
    fn name(&self) -> &'static str;

    /// Every reason to remove an item, at most 8. Stable: dashboards know them.
    fn reasons(&self) -> &'static [&'static str];

    /// Whether the filter has a say. Candidates of the caller are only removed by what the
    /// request itself asks for.
    fn is_enabled(&self, query: &Query<'_>) -> bool {
        !query.is_rerank()
    }

    /// `None` to keep the item, or the position in `reasons` of why not.
    fn check(&self, query: &Query<'_>, item: ItemIdx) -> Option<usize>;
}

/// Every filter, the cheapest first: an item is removed by the first that objects.
#[must_use]
pub fn registry() -> &'static [&'static dyn Filter] {
    &[
        &excluded::ExcludedFilter,
        &seen::SeenFilter,
        &live::LiveFilter,
        &expression::ExpressionFilter,
    ]
}
