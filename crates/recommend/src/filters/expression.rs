//! What does not meet the request's own condition.

use super::Filter;
use crate::filter_expression::Outcome;
use crate::query::Query;
use nowcast_store::ItemIdx;

/// Removes items for which the filter expression is not `true`.
pub(super) struct ExpressionFilter;

impl Filter for ExpressionFilter {
    fn name(&self) -> &'static str {
        "expression"
    }

    fn reasons(&self) -> &'static [&'static str] {
        &["not_matching", "failed", "out_of_time"]
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        query.expression.is_some()
    }

    fn check(&self, query: &Query<'_>, item: ItemIdx) -> Option<usize> {
        // A condition that could not be looked at is not met: the caller asked for a guarantee.
        if query.is_late() {
            return Some(2);
        }
        let expression = query.expression.as_ref()?;
        match expression.evaluate(query.catalog, Some(item)) {
            Outcome::True => None,
            Outcome::False => Some(0),
            Outcome::Failed => Some(1),
        }
    }
}
