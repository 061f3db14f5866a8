//! What others met together with the items of the recent history, live to the last event.

use super::Source;
use crate::answer::Rung;
use crate::query::Query;
use nowcast_store::ItemIdx;

/// The strongest neighbours of the recent history.
pub(super) struct CovisitSource;

impl Source for CovisitSource {
    fn name(&self) -> &'static str {
        "covisit"
    }

    fn rung(&self) -> Rung {
        Rung::Personalized
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        !query.covisited.is_empty()
    }

    fn fetch(&self, query: &Query<'_>, limit: usize, out: &mut Vec<ItemIdx>) {
        let admitted = query.covisited.iter().filter(|item| query.admits(**item));
        let mut weighed: Vec<(f32, ItemIdx)> =
            admitted.map(|item| (query.covisit(*item), *item)).collect();
        // Stable: equal evidence stays in order of discovery, which no numbering decides.
        weighed.sort_by(|a, b| b.0.total_cmp(&a.0));
        out.extend(weighed.iter().take(limit).map(|(_, item)| *item));
    }
}
