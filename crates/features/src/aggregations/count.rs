//! `count`: how many events.

use super::{AggregateValue, Aggregation, Params, Partial, Sample, Width};
use crate::config::Operand;
use crate::words::{add_u64, get_u64};

/// Words: count (2).
#[derive(Debug)]
pub(super) struct Count;

impl Aggregation for Count {
    fn name(&self) -> &'static str {
        "count"
    }

    fn operands(&self) -> &'static [Operand] {
        &[Operand::One]
    }

    fn width(&self, _params: &Params) -> Width {
        Width::Fixed(2)
    }

    fn update(&self, _params: &Params, partial: &mut Partial<'_>, _sample: &Sample) {
        add_u64(partial.words_mut(), 0, 1);
    }

    fn merge(&self, _params: &Params, into: &mut Vec<u32>, from: &[u32]) {
        add_u64(into, 0, get_u64(from, 0));
    }

    fn value(&self, _params: &Params, words: &[u32], _as_of_s: u32) -> AggregateValue {
        AggregateValue::Number(get_u64(words, 0) as f64)
    }
}
