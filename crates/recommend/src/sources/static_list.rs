//! The last rung: the site's own list, then the catalogue. Needs no events and no models.
//!
//! The catalogue's order is the order of item numbers, which is that of first mention; it may
//! differ from run to run.

use super::Source;
use crate::answer::Rung;
use crate::query::Query;
use nowcast_store::ItemIdx;

/// Items of the catalogue looked at beyond the limit, so that a catalogue of expired items does
/// not hold up a request.
const LOOKED_AT_MAX: u32 = 20_000;

/// The configured items, then the catalogue's.
pub(super) struct StaticSource;

impl Source for StaticSource {
    fn name(&self) -> &'static str {
        "static"
    }

    fn rung(&self) -> Rung {
        Rung::Static
    }

    fn fetch(&self, query: &Query<'_>, limit: usize, out: &mut Vec<ItemIdx>) {
        let mut listed: Vec<ItemIdx> = {
            let table = query.catalog.read();
            let ids = query.static_items.iter();
            ids.filter_map(|id| table.find(id)).collect()
        };
        let mut once = std::collections::HashSet::new();
        listed.retain(|item| once.insert(*item));
        super::take_admitted(query, limit, listed.iter().copied(), out);
        let left = limit - out.len();
        let looked_at = query.view.len().min(LOOKED_AT_MAX);
        let others = (0..looked_at)
            .map(ItemIdx)
            .filter(|item| !once.contains(item));
        super::take_admitted(query, left, others, out);
    }
}
