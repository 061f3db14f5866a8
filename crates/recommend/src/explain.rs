//! The account of an answer, for `explain=true`.

use crate::answer::{Explanation, ItemExplanation, RankedItem, Removal, ScorePart};
use crate::pipeline::Slate;
use crate::query::Query;
use crate::selectors::Ranked;
use crate::{filters, scorers, sources};
use std::sync::Arc;

/// Puts together what the stages left behind.
pub(crate) fn explain(query: &Query<'_>, slate: &Slate, items: &[RankedItem]) -> Explanation {
    let named = query.removals().map(|(filter, reason, count)| {
        let filter = filters::registry()[filter];
        Removal {
            filter: filter.name(),
            reason: filter.reasons().get(reason).copied().unwrap_or("other"),
            count: count as usize,
        }
    });
    let repeated = (slate.repeated > 0).then_some(Removal {
        filter: "duplicates",
        reason: "repeated",
        count: slate.repeated,
    });
    let pairs = slate.ranking.iter().zip(items);
    Explanation {
        positions: query.live.positions(),
        history_len: query.profile.history.len(),
        segment: query.profile.segment.as_deref().map(str::to_owned),
        sources: slate.sources.clone(),
        removals: named.chain(repeated).collect(),
        candidates: slate.candidates.len(),
        items: pairs
            .map(|(ranked, item)| explain_item(slate, ranked, item))
            .collect(),
    }
}

fn explain_item(slate: &Slate, ranked: &Ranked, item: &RankedItem) -> ItemExplanation {
    let brought_by = slate.candidates[ranked.candidate].sources;
    let registry = sources::registry().iter().enumerate();
    let brought = registry.filter(|(at, _)| brought_by & (1 << at) != 0);
    let parts = slate.columns.iter().filter_map(|column| {
        let raw = column.raw[ranked.candidate];
        (raw != 0.0).then(|| ScorePart {
            scorer: scorers::registry()[column.scorer].name(),
            raw,
            calibrated: raw * column.scale,
            weight: column.weight,
        })
    });
    ItemExplanation {
        item_id: Arc::clone(&item.item_id),
        sources: brought.map(|(_, source)| source.name()).collect(),
        score: item.score,
        parts: parts.collect(),
    }
}
