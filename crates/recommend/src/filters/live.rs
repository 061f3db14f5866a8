//! What cannot be had at the moment.

use super::Filter;
use crate::query::Query;
use nowcast_store::{ItemIdx, ItemStatus};

/// Removes items that are deleted, unavailable, not yet published or expired.
pub(super) struct LiveFilter;

const UNAVAILABLE: usize = 0;
const NOT_PUBLISHED: usize = 1;
const EXPIRED: usize = 2;
const DELETED: usize = 3;

impl Filter for LiveFilter {
    fn name(&self) -> &'static str {
        "live"
    }

    fn reasons(&self) -> &'static [&'static str] {
        &["unavailable", "not_published", "expired", "deleted"]
    }

    fn check(&self, query: &Query<'_>, item: ItemIdx) -> Option<usize> {
        if query.view.is_live(item, query.now()) {
            return None;
        }
        if query.view.status(item) == ItemStatus::Deleted {
            return Some(DELETED);
        }
        // The row may be newer than the view that removed the item; then the plainest reason holds.
        let row = query.catalog.row(item);
        Some(match row {
            Some(row) if !row.available => UNAVAILABLE,
            Some(row) if row.published_at.is_some_and(|from| query.now() < from) => NOT_PUBLISHED,
            Some(row) if row.expires_at.is_some_and(|until| until <= query.now()) => EXPIRED,
            _ => UNAVAILABLE,
        })
    }
}
