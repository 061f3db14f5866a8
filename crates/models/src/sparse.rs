//! Answers of models whose scores are 0 but for a few items: looked up and ranked from the
//! ascending list that `prepare` made. It computes no score itself.

use crate::model::{Prepared, Scored};
use crate::top_k::TopK;

/// One in so many items touched is enough to look at all of them instead of sorting.
const SHARE_TO_SCAN: usize = 8;

/// The non-zero sums, which `touched` names all of, ascending by item; `sums` is zero again
/// afterwards.
pub(crate) fn collect(mut touched: Vec<u32>, sums: &mut [f32]) -> Prepared {
    if touched.len() * SHARE_TO_SCAN < sums.len() {
        touched.sort_unstable();
        touched.dedup();
    } else {
        touched = (0..sums.len() as u32).collect();
    }
    let scored = touched.into_iter().map(|item| Scored {
        item,
        score: std::mem::take(&mut sums[item as usize]).clamp(f32::MIN, f32::MAX),
    });
    let scored: Vec<Scored> = scored.filter(|one| one.score != 0.0).collect();
    if scored.is_empty() {
        Prepared::Unpersonalized
    } else {
        Prepared::Sparse(scored)
    }
}

/// As [`crate::Model::score`].
pub(crate) fn score(prepared: &Prepared, items: &[u32], out: &mut [f32]) {
    let scores: &[Scored] = match prepared {
        Prepared::Sparse(scores) => scores,
        _ => &[],
    };
    for (item, out) in items.iter().zip(out) {
        let found = scores.binary_search_by_key(item, |scored| scored.item);
        *out = found.map_or(0.0, |at| scores[at].score);
    }
}

/// As [`crate::Model::retrieve`]: items with a positive score only.
pub(crate) fn retrieve(
    prepared: &Prepared,
    k: usize,
    admit: &dyn Fn(u32) -> bool,
    out: &mut Vec<Scored>,
) {
    let mut best = TopK::new(k);
    if let Prepared::Sparse(scores) = prepared {
        for scored in scores {
            let enters = scored.score > 0.0 && scored.score >= best.threshold();
            if enters && admit(scored.item) {
                best.push(scored.item, scored.score);
            }
        }
    }
    best.finish_into(out);
}
