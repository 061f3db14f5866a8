//! `decayed_sum`: a sum whose contributions halve with every half-life; what trending lists use.
//!
//! Not tiled: one forward-decayed sum per entity (see [`crate::decay`]). The laws of merging hold
//! up to the rounding of doubles; a fold adds in log order and readers merge partitions in their
//! order, so results are still reproducible bit for bit.

use super::{AggregateValue, Aggregation, Params, Partial, Sample, Width};
use crate::config::Operand;
use crate::decay::Decayed;
use crate::words::{get_u64, put_u64};

/// Words: bits of the scaled sum (2), epoch (1).
#[derive(Debug)]
pub(super) struct DecayedSum;

impl Aggregation for DecayedSum {
    fn name(&self) -> &'static str {
        "decayed_sum"
    }

    fn operands(&self) -> &'static [Operand] {
        &[Operand::Strength, Operand::One, Operand::Value]
    }

    fn width(&self, _params: &Params) -> Width {
        Width::Fixed(3)
    }

    fn update(&self, params: &Params, partial: &mut Partial<'_>, sample: &Sample) {
        let mut sum = load(partial.words());
        sum.add(params.decay.at(sample.time_s), sample.quantity);
        save(partial.words_mut(), sum);
    }

    fn merge(&self, _params: &Params, into: &mut Vec<u32>, from: &[u32]) {
        let mut sum = load(into);
        sum.merge(load(from));
        save(into, sum);
    }

    fn value(&self, params: &Params, words: &[u32], as_of_s: u32) -> AggregateValue {
        AggregateValue::Number(load(words).value(&params.decay, as_of_s))
    }

    fn is_tiled(&self) -> bool {
        false
    }
}

fn load(words: &[u32]) -> Decayed {
    Decayed {
        scaled: f64::from_bits(get_u64(words, 0)),
        epoch: words[2],
    }
}

fn save(words: &mut [u32], sum: Decayed) {
    put_u64(words, 0, sum.scaled.to_bits());
    words[2] = sum.epoch;
}
