//! Where candidates come from. To add a source: one new file here and one line in [`registry`].

mod content;
mod covisit;
mod history;
mod model;
mod newcomers;
mod static_list;
mod trending_category;
mod trending_global;
mod trending_segment;

use crate::answer::Rung;
use crate::query::Query;
use nowcast_store::ItemIdx;

/// Brings candidates.
///
/// Contract, checked by the executor and by one suite over [`registry`]: at most `limit` items, no
/// item twice, only items that [`Query::admits`] accepts; empty when there is nothing to go by
/// (a source never invents candidates); deterministic. Order is a hint only: scorers decide.
pub trait Source: Sync {
    /// The name in configuration, metrics and explanations.
    fn name(&self) -> &'static str;

    /// The rung of the ladder that an answer with items of this source stands on.
    fn rung(&self) -> Rung;

    /// Whether there is anything to go by.
    fn is_enabled(&self, _query: &Query<'_>) -> bool {
        true
    }

    /// Appends at most `limit` candidates to `out`, which is empty when the call begins.
    fn fetch(&self, query: &Query<'_>, limit: usize, out: &mut Vec<ItemIdx>);
}

/// Every source. An item that several bring is named after the first.
#[must_use]
pub fn registry() -> &'static [&'static dyn Source] {
    &[
        &model::ModelSource { model: "ials" },
        &model::ModelSource { model: "blend" },
        &covisit::CovisitSource,
        &content::ContentSource,
        &newcomers::NewcomersSource,
        &history::HistorySource,
        &trending_category::TrendingCategorySource,
        &trending_segment::TrendingSegmentSource,
        &trending_global::TrendingGlobalSource,
        &static_list::StaticSource,
    ]
}

/// Appends the first `limit` admitted items of an ordered list.
fn take_admitted(
    query: &Query<'_>,
    limit: usize,
    items: impl Iterator<Item = ItemIdx>,
    out: &mut Vec<ItemIdx>,
) {
    out.extend(items.filter(|item| query.admits(*item)).take(limit));
}
