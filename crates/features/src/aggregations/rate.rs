//! `rate`: how many of one set of events per event of another, such as clicks per impression,
//! pulled towards a prior while there is little evidence.
//!
//! `(n + prior_strength * prior_mean) / (d + prior_strength)`: the posterior mean of a binomial
//! rate under a Beta prior worth `prior_strength` trials (Gelman et al., Bayesian Data Analysis,
//! section 2.4).

use super::{AggregateValue, Aggregation, Params, Partial, Sample, Width};
use crate::config::{FeatureViewConfig, Operand};
use crate::words::{add_u64, get_u64};

/// Words: numerator (2), denominator (2).
#[derive(Debug)]
pub(super) struct Rate;

impl Aggregation for Rate {
    fn name(&self) -> &'static str {
        "rate"
    }

    fn operands(&self) -> &'static [Operand] {
        &[Operand::One]
    }

    fn width(&self, _params: &Params) -> Width {
        Width::Fixed(4)
    }

    fn update(&self, _params: &Params, partial: &mut Partial<'_>, sample: &Sample) {
        let at = if sample.is_denominator { 2 } else { 0 };
        add_u64(partial.words_mut(), at, 1);
    }

    fn merge(&self, _params: &Params, into: &mut Vec<u32>, from: &[u32]) {
        for at in [0, 2] {
            add_u64(into, at, get_u64(from, at));
        }
    }

    fn value(&self, params: &Params, words: &[u32], _as_of_s: u32) -> AggregateValue {
        let successes = get_u64(words, 0) as f64 + params.prior_strength * params.prior_mean;
        let trials = get_u64(words, 2) as f64 + params.prior_strength;
        if trials > 0.0 {
            AggregateValue::Number(successes / trials)
        } else {
            AggregateValue::Missing
        }
    }

    fn check(&self, view: &FeatureViewConfig) -> Result<(), String> {
        if view.per.is_empty() {
            return Err("`rate` needs `per`, the event types of the denominator".to_owned());
        }
        if view.per.iter().any(|name| view.events.contains(name)) {
            return Err("an event type cannot be in both `events` and `per`".to_owned());
        }
        Ok(())
    }
}
