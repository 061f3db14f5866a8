//! A cap on how many items of an answer share their leading category.

use super::{Ranked, Selector};
use crate::candidate::Candidate;
use crate::query::Query;
use hashbrown::HashMap;
use nowcast_store::LabelIdx;

/// Moves items beyond the cap behind all others; they fill the answer only if nothing else can.
pub(super) struct CategoryCapSelector;

impl Selector for CategoryCapSelector {
    fn name(&self) -> &'static str {
        "category_cap"
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        !query.is_rerank() && query.slot.config.diversity.category_max > 0
    }

    fn select(
        &self,
        query: &Query<'_>,
        candidates: &[Candidate],
        _k: usize,
        ranking: &mut Vec<Ranked>,
    ) {
        let category_max = query.slot.config.diversity.category_max;
        let mut used: HashMap<LabelIdx, usize> = HashMap::new();
        let (mut kept, mut beyond) = (Vec::with_capacity(ranking.len()), Vec::new());
        for ranked in ranking.drain(..) {
            let category = candidates[ranked.candidate].category;
            let is_within = category.is_none_or(|category| {
                let count = used.entry(category).or_insert(0);
                *count += 1;
                *count <= category_max
            });
            if is_within {
                kept.push(ranked);
            } else {
                beyond.push(ranked);
            }
        }
        kept.append(&mut beyond);
        *ranking = kept;
    }
}
