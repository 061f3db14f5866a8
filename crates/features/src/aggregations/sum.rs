//! `sum`: the sum of a quantity, in fixed point.

use super::{AggregateValue, Aggregation, Params, Partial, Sample, Width, from_fixed, to_fixed};
use crate::config::Operand;
use crate::words::{get_u64, put_u64};

/// Words: sum (2).
#[derive(Debug)]
pub(super) struct Sum;

impl Aggregation for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn operands(&self) -> &'static [Operand] {
        &[Operand::Value, Operand::Strength]
    }

    fn width(&self, _params: &Params) -> Width {
        Width::Fixed(2)
    }

    fn update(&self, _params: &Params, partial: &mut Partial<'_>, sample: &Sample) {
        add(partial.words_mut(), 0, to_fixed(sample.quantity));
    }

    fn merge(&self, _params: &Params, into: &mut Vec<u32>, from: &[u32]) {
        add(into, 0, get_u64(from, 0) as i64);
    }

    fn value(&self, _params: &Params, words: &[u32], _as_of_s: u32) -> AggregateValue {
        AggregateValue::Number(from_fixed(get_u64(words, 0) as i64))
    }
}

/// Adds to the fixed-point number at `at`, wrapping.
pub(super) fn add(words: &mut [u32], at: usize, fixed: i64) {
    let sum = (get_u64(words, at) as i64).wrapping_add(fixed);
    put_u64(words, at, sum as u64);
}
