//! Maximal marginal relevance (Carbonell and Goldstein 1998): each place goes to the candidate
//! with the best `(1 - mmr) * score - mmr * likeness`, where likeness is the largest share of
//! categories it has in common with an item above it.

use super::{Ranked, Selector};
use crate::candidate::Candidate;
use crate::query::Query;
use nowcast_store::LabelIdx;

/// Candidates compared per place of the answer, and at least [`COMPARED_MIN`]: every place compares
/// all of them, so this bounds the time.
const COMPARED_PER_PLACE: usize = 4;
const COMPARED_MIN: usize = 200;

/// Trades score against likeness to what is above.
pub(super) struct MmrSelector;

impl Selector for MmrSelector {
    fn name(&self) -> &'static str {
        "mmr"
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        !query.is_rerank() && query.slot.config.diversity.mmr > 0.0
    }

    fn select(
        &self,
        query: &Query<'_>,
        candidates: &[Candidate],
        k: usize,
        ranking: &mut Vec<Ranked>,
    ) {
        let mmr = query.slot.config.diversity.mmr;
        let categories = |ranked: &Ranked| -> &[LabelIdx] {
            let item = candidates[ranked.candidate].item;
            item.map_or(&[], |item| query.view.categories(item))
        };
        // Scores are shares of the best one here, so that `mmr` means the same in every slot.
        let best = ranking.first().map_or(0.0, |ranked| ranked.score.abs());
        let scale = if best > 0.0 { 1.0 / best } else { 0.0 };
        let compared = (k * COMPARED_PER_PLACE)
            .max(COMPARED_MIN)
            .min(ranking.len());
        let ranking = &mut ranking[..compared];
        let mut likeness = vec![0.0_f32; compared];
        for place in 0..k.min(compared) {
            let gain = |at: usize| (1.0 - mmr) * ranking[at].score * scale - mmr * likeness[at];
            let better = |best: usize, at: usize| if gain(at) > gain(best) { at } else { best };
            let chosen = (place..compared).reduce(better).unwrap_or(place);
            // Moves the chosen one up and keeps the order of those it passes.
            ranking[place..=chosen].rotate_right(1);
            likeness[place..=chosen].rotate_right(1);
            let above = categories(&ranking[place]);
            for (below, likeness) in ranking.iter().zip(&mut likeness).skip(place + 1) {
                *likeness = likeness.max(jaccard(above, categories(below)));
            }
        }
    }
}

/// Shared categories as a part of all categories of the two; 0 where one has none.
fn jaccard(a: &[LabelIdx], b: &[LabelIdx]) -> f32 {
    let shared = a.iter().filter(|label| b.contains(label)).count();
    let all = a.len() + b.len() - shared;
    if all == 0 {
        0.0
    } else {
        shared as f32 / all as f32
    }
}
