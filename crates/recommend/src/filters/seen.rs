//! What the subject has met already, and what they do not like.

use super::Filter;
use crate::query::Query;
use nowcast_store::ItemIdx;

/// Removes disliked items, and in slots that say so everything the subject interacted with.
pub(super) struct SeenFilter;

impl Filter for SeenFilter {
    fn name(&self) -> &'static str {
        "seen"
    }

    fn reasons(&self) -> &'static [&'static str] {
        &["seen", "disliked"]
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        !query.is_rerank() && !query.touched.is_empty()
    }

    fn check(&self, query: &Query<'_>, item: ItemIdx) -> Option<usize> {
        let touched = query.touched(item)?;
        if touched.strength < 0.0 {
            return Some(1);
        }
        query.removes_seen().then_some(0)
    }
}
