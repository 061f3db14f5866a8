//! The aggregations that a feature view can name. To add one: one file here, one line in
//! [`registry`]. The suite in `tests/it/merge_laws.rs` then holds it to the laws.
//!
//! A partial aggregate is a run of 32-bit words. Merging is associative and commutative, and a
//! merge of parts equals one pass over the whole, so that tiles, partitions and other systems can
//! be combined in any grouping. Sums are integers for that reason; `decayed_sum` alone is floating
//! point and holds the laws up to rounding.

mod count;
mod decayed_sum;
mod distinct;
mod last_k;
mod max;
mod mean;
mod min;
mod rate;
mod sum;
mod top_k;

use crate::config::{FeatureViewConfig, Operand};
use crate::decay::DecayClock;
pub use crate::words::Partial;

/// What one event contributes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Event time in seconds.
    pub time_s: u32,
    /// The number aggregated; finite.
    pub quantity: f64,
    /// The key aggregated: a local number, or a hash of what is only counted.
    pub key: u64,
    /// Whether the event belongs to the denominator of a rate.
    pub is_denominator: bool,
}

/// The choices of one view, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    /// How many keys to report.
    pub k: usize,
    /// The rate expected before any evidence.
    pub prior_mean: f64,
    /// How many denominator events that expectation is worth.
    pub prior_strength: f64,
    /// The window in seconds.
    pub window_s: u32,
    /// The decay of contributions.
    pub decay: DecayClock,
}

/// How many words a partial has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Always so many.
    Fixed(usize),
    /// From none to so many.
    UpTo(usize),
}

/// What a partial says.
#[derive(Debug, Clone, PartialEq)]
pub enum AggregateValue {
    /// Nothing: there was no event that counts.
    Missing,
    /// One number.
    Number(f64),
    /// Keys in order, the first the best, each with its score.
    Ranked(Vec<(u32, f64)>),
}

/// One way to aggregate.
///
/// `init` gives the identity of `merge`. All operations are pure and deterministic; none may panic
/// on words that `init`, `update` or `merge` produced.
pub trait Aggregation: Sync + std::fmt::Debug {
    /// The name in the configuration.
    fn name(&self) -> &'static str;

    /// What it can aggregate, its default first.
    fn operands(&self) -> &'static [Operand];

    /// The number of words of a partial.
    fn width(&self, params: &Params) -> Width;

    /// Turns zeros (or no words, if the width varies) into the partial of no events.
    fn init(&self, _words: &mut [u32]) {}

    /// Adds one event.
    fn update(&self, params: &Params, partial: &mut Partial<'_>, sample: &Sample);

    /// Adds another partial to `into`.
    fn merge(&self, params: &Params, into: &mut Vec<u32>, from: &[u32]);

    /// What the partial says as of a time.
    fn value(&self, params: &Params, words: &[u32], as_of_s: u32) -> AggregateValue;

    /// Whether the window is cut into tiles. If not, one partial lives on and minds time itself.
    fn is_tiled(&self) -> bool {
        true
    }

    /// Refuses a view that this aggregation cannot serve, with a sentence.
    ///
    /// # Errors
    /// What is missing or superfluous.
    fn check(&self, view: &FeatureViewConfig) -> Result<(), String> {
        if view.per.is_empty() {
            Ok(())
        } else {
            Err("`per` is for the aggregation `rate`".to_owned())
        }
    }
}

/// Every aggregation, in the order of the manual.
#[must_use]
pub fn registry() -> &'static [&'static dyn Aggregation] {
    &[
        &count::Count,
        &sum::Sum,
        &mean::Mean,
        &min::Min,
        &max::Max,
        &rate::Rate,
        &last_k::LastK,
        &top_k::TopK,
        &distinct::Distinct,
        &decayed_sum::DecayedSum,
    ]
}

/// The aggregation called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static dyn Aggregation> {
    registry().iter().copied().find(|a| a.name() == name)
}

/// Fractional bits of the fixed point in which values are summed: steps of 1/65536.
const FRACTION: f64 = 65_536.0;
/// Largest magnitude summed; larger values count as this.
const QUANTITY_MAX: f64 = 2_147_483_648.0;

/// A quantity in fixed point, so that sums do not depend on their order. Sums wrap beyond 131,072
/// events of the largest magnitude.
fn to_fixed(quantity: f64) -> i64 {
    (quantity.clamp(-QUANTITY_MAX, QUANTITY_MAX) * FRACTION) as i64
}

fn from_fixed(fixed: i64) -> f64 {
    fixed as f64 / FRACTION
}

fn refuse_without_k(view: &FeatureViewConfig) -> Result<(), String> {
    match view.k {
        Some(1..=32) => Ok(()),
        _ => Err(format!("`{}` needs `k` from 1 to 32", view.aggregation)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn params() -> Params {
        Params {
            k: 8,
            prior_mean: 0.1,
            prior_strength: 10.0,
            window_s: 3_600,
            decay: DecayClock::new(600),
        }
    }

    #[test]
    fn names_are_unique_and_found() {
        for aggregation in registry() {
            let found = find(aggregation.name()).expect("registered");
            assert!(std::ptr::addr_eq(found, *aggregation) || found.name() == aggregation.name());
        }
        assert_eq!(find("median").map(|a| a.name()), None);
    }
}
