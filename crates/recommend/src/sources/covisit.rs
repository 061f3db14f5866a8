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
        let popular = &query.trending.tables.popular;
        let known = |item: &ItemIdx| popular.get(item.0 as usize).copied().unwrap_or(0.0);
        let admitted = query.covisited.iter().filter(|item| query.admits(**item));
        let mut weighed: Vec<(f32, f32, ItemIdx)> = admitted
            .map(|item| (query.covisit(*item), known(item), *item))
            .collect();
        // Equal evidence is common (one visit in common); then the better known item goes first,
        // and ids decide what is left, because item numbers differ from process to process.
        let table = query.catalog.read();
        let order = |a: &(f32, f32, ItemIdx), b: &(f32, f32, ItemIdx)| {
            let by_weight = b.0.total_cmp(&a.0).then_with(|| b.1.total_cmp(&a.1));
            by_weight.then_with(|| table.id(a.2).cmp(&table.id(b.2)))
        };
        if limit < weighed.len() {
            weighed.select_nth_unstable_by(limit, order);
            weighed.truncate(limit);
        }
        weighed.sort_unstable_by(order);
        out.extend(weighed.iter().map(|(_, _, item)| *item));
    }
}
