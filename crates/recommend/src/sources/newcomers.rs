//! Items without any event that trained models take for fitting by their content alone. They have a
//! limit of their own, because the score of an item that is known by content only is cautious and
//! seldom reaches the first hundreds of all.

use super::Source;
use crate::answer::Rung;
use crate::query::Query;
use nowcast_store::ItemIdx;

/// The best items that the models have never met.
pub(super) struct NewcomersSource;

impl Source for NewcomersSource {
    fn name(&self) -> &'static str {
        "newcomers"
    }

    fn rung(&self) -> Rung {
        Rung::Personalized
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        query.newcomers().next().is_some()
    }

    fn fetch(&self, query: &Query<'_>, limit: usize, out: &mut Vec<ItemIdx>) {
        let mut best = Vec::new();
        for (loaded, map, prepared) in query.newcomers() {
            let admit = |item: ItemIdx| query.admits(item);
            let newcomers = loaded.newcomers();
            newcomers.retrieve((map, prepared), limit, &admit, &mut best);
            for scored in &best {
                let item = ItemIdx(scored.item);
                if out.len() < limit && !out.contains(&item) {
                    out.push(item);
                }
            }
        }
    }
}
