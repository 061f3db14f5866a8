//! How good a candidate is, from one point of view each. To add a scorer: one new file here and
//! one line in [`registry`].
//!
//! # How scores of different kinds are added
//! Scorers answer in their own unit: a predicted preference, a cosine, a share of company. The
//! executor divides each by the largest magnitude that the scorer gave to any candidate of the
//! request, so each lies within -1 and 1 and the best candidate of each point of view counts the
//! slot's weight in full. Against ranks this keeps "far better than the rest" apart from "slightly
//! better"; against z-scores it keeps 0 at "nothing to say", so a scorer that knows three of a
//! thousand candidates does not drown the others.

mod category_affinity;
mod content;
mod covisit;
mod ctr;
mod model;
mod online;
mod popularity;
mod position;
mod recency;
mod repeat;
mod segment_popularity;
mod touch;
mod trending;

use crate::answer::Rung;
use crate::candidate::Candidate;
use crate::query::Query;

/// Scores candidates.
///
/// Contract, checked by one suite over [`registry`]: `out` is as long as `candidates` and holds 0
/// ("nothing to say") when the call begins; the score of a candidate does not depend on which
/// others there are (`online` alone judges a list as a whole); higher is better; deterministic. Non-finite scores count as nothing said.
pub trait Scorer: Sync {
    /// The name in configuration, metrics and explanations.
    fn name(&self) -> &'static str;

    /// The rung of the ladder that knowledge of this kind stands on.
    fn rung(&self) -> Rung;

    /// Whether there is anything to go by.
    fn is_enabled(&self, _query: &Query<'_>) -> bool {
        true
    }

    /// Writes the score of each candidate to `out`.
    fn score(&self, query: &Query<'_>, candidates: &[Candidate], out: &mut [f32]);
}

/// The scorer whose outcomes are learnt from.
pub(crate) const ONLINE: &str = "online";

/// Every scorer, in the order in which they run and are explained.
#[must_use]
pub fn registry() -> &'static [&'static dyn Scorer] {
    &[
        &touch::TouchScorer,
        &online::OnlineScorer,
        &repeat::RepeatScorer,
        &model::ModelScorer { model: "ials" },
        &model::ModelScorer { model: "blend" },
        &covisit::CovisitScorer,
        &content::ContentScorer,
        &category_affinity::CategoryAffinityScorer,
        &segment_popularity::SegmentPopularityScorer,
        &trending::TrendingScorer,
        &popularity::PopularityScorer,
        &ctr::CtrScorer,
        &recency::RecencyScorer,
        &position::PositionScorer,
    ]
}

/// Scores each candidate that the catalogue knows by itself.
fn score_each(
    candidates: &[Candidate],
    out: &mut [f32],
    score: impl Fn(&Candidate, nowcast_store::ItemIdx) -> f32,
) {
    for (candidate, out) in candidates.iter().zip(out) {
        if let Some(item) = candidate.item {
            *out = score(candidate, item);
        }
    }
}
