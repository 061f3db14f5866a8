//! The subject's own items again, for slots where consumption repeats: music, groceries.

use super::Source;
use crate::answer::Rung;
use crate::query::Query;
use nowcast_store::ItemIdx;

/// The last touched items. Empty where the slot removes what was seen.
pub(super) struct HistorySource;

impl Source for HistorySource {
    fn name(&self) -> &'static str {
        "history"
    }

    fn rung(&self) -> Rung {
        Rung::Personalized
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        !query.removes_seen() && !query.touched.is_empty()
    }

    fn fetch(&self, query: &Query<'_>, limit: usize, out: &mut Vec<ItemIdx>) {
        let items = query.touched.iter().map(|touched| touched.item);
        super::take_admitted(query, limit, items, out);
    }
}
