//! `mean`: the mean of a quantity, from a fixed-point sum and a count.

use super::sum::add;
use super::{AggregateValue, Aggregation, Params, Partial, Sample, Width, from_fixed, to_fixed};
use crate::config::Operand;
use crate::words::{add_u64, get_u64};

/// Words: sum (2), count (2).
#[derive(Debug)]
pub(super) struct Mean;

impl Aggregation for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }

    fn operands(&self) -> &'static [Operand] {
        &[Operand::Value, Operand::Strength]
    }

    fn width(&self, _params: &Params) -> Width {
        Width::Fixed(4)
    }

    fn update(&self, _params: &Params, partial: &mut Partial<'_>, sample: &Sample) {
        let words = partial.words_mut();
        add(words, 0, to_fixed(sample.quantity));
        add_u64(words, 2, 1);
    }

    fn merge(&self, _params: &Params, into: &mut Vec<u32>, from: &[u32]) {
        add(into, 0, get_u64(from, 0) as i64);
        add_u64(into, 2, get_u64(from, 2));
    }

    fn value(&self, _params: &Params, words: &[u32], _as_of_s: u32) -> AggregateValue {
        match get_u64(words, 2) {
            0 => AggregateValue::Missing,
            n => AggregateValue::Number(from_fixed(get_u64(words, 0) as i64) / n as f64),
        }
    }
}
