//! Which of the scored candidates make the answer, and in which order. To add a selector: one new
//! file here and one line in [`registry`].

mod category_cap;
mod exploration;
mod mmr;

use crate::candidate::Candidate;
use crate::query::Query;

/// A candidate with its blended score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Position among the candidates.
    pub candidate: usize,
    /// Blended score, finite.
    pub score: f32,
    /// Probability of its place, given those above.
    pub propensity: f32,
    /// Whether chance put it there.
    pub is_exploration: bool,
}

/// Reorders the ranking.
///
/// Contract: `ranking` comes with all candidates, best first, ties in ascending item id; its first
/// `k` are the answer when all selectors have run. A selector reorders and never
/// repeats or loses an entry; deterministic, chance comes from the request id.
pub trait Selector: Sync {
    /// The name in metrics.
    fn name(&self) -> &'static str;

    /// Whether the slot asks for it.
    fn is_enabled(&self, query: &Query<'_>) -> bool;

    /// Puts the answer into the first `k` places.
    fn select(
        &self,
        query: &Query<'_>,
        candidates: &[Candidate],
        k: usize,
        ranking: &mut Vec<Ranked>,
    );
}

/// Every selector, in the order in which they run.
#[must_use]
pub fn registry() -> &'static [&'static dyn Selector] {
    &[
        &mmr::MmrSelector,
        &category_cap::CategoryCapSelector,
        &exploration::ExplorationSelector,
    ]
}
