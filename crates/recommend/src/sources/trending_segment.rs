//! What is popular among the users of the subject's segment.

use super::Source;
use crate::answer::Rung;
use crate::query::Query;
use nowcast_store::ItemIdx;

/// The segment's popular items.
pub(super) struct TrendingSegmentSource;

impl Source for TrendingSegmentSource {
    fn name(&self) -> &'static str {
        "trending_segment"
    }

    fn rung(&self) -> Rung {
        Rung::Segment
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        query.segment_list().is_some_and(|list| !list.is_empty())
    }

    fn fetch(&self, query: &Query<'_>, limit: usize, out: &mut Vec<ItemIdx>) {
        let list = query.segment_list().unwrap_or(&[]);
        super::take_admitted(query, limit, list.iter().map(|(item, _)| *item), out);
    }
}
