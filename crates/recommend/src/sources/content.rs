//! Items whose categories, tags and words are like those of the recent history. The way in for
//! new items: they are candidates as soon as the catalogue has them.

use super::Source;
use crate::answer::Rung;
use crate::query::Query;
use nowcast_store::ItemIdx;

/// The items nearest in content.
pub(super) struct ContentSource;

impl Source for ContentSource {
    fn name(&self) -> &'static str {
        "content"
    }

    fn rung(&self) -> Rung {
        Rung::Personalized
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        query.content.is_some()
    }

    fn fetch(&self, query: &Query<'_>, limit: usize, out: &mut Vec<ItemIdx>) {
        let Some(content) = &query.content else {
            return;
        };
        let admit = |item: u32| query.admits(ItemIdx(item));
        let mut best = Vec::new();
        let index = &content.index;
        index.retrieve(&content.profile, limit, &admit, &mut best);
        out.extend(best.iter().map(|scored| ItemIdx(scored.item)));
    }
}
