//! `max`: the largest quantity.

use super::{AggregateValue, Aggregation, Params, Partial, Sample, Width};
use crate::config::Operand;
use crate::words::{get_u64, put_u64};

/// Words: the bits of a double (2), minus infinity if there was none.
#[derive(Debug)]
pub(super) struct Max;

impl Aggregation for Max {
    fn name(&self) -> &'static str {
        "max"
    }

    fn operands(&self) -> &'static [Operand] {
        &[Operand::Value, Operand::Strength]
    }

    fn width(&self, _params: &Params) -> Width {
        Width::Fixed(2)
    }

    fn init(&self, words: &mut [u32]) {
        put_u64(words, 0, f64::NEG_INFINITY.to_bits());
    }

    fn update(&self, _params: &Params, partial: &mut Partial<'_>, sample: &Sample) {
        raise(partial.words_mut(), sample.quantity);
    }

    fn merge(&self, _params: &Params, into: &mut Vec<u32>, from: &[u32]) {
        raise(into, f64::from_bits(get_u64(from, 0)));
    }

    fn value(&self, _params: &Params, words: &[u32], _as_of_s: u32) -> AggregateValue {
        let greatest = f64::from_bits(get_u64(words, 0));
        if greatest.is_finite() {
            AggregateValue::Number(greatest)
        } else {
            AggregateValue::Missing
        }
    }
}

fn raise(words: &mut [u32], quantity: f64) {
    // Adding zero makes the two zeros one, so that order cannot show.
    let quantity = quantity + 0.0;
    if quantity > f64::from_bits(get_u64(words, 0)) {
        put_u64(words, 0, quantity.to_bits());
    }
}
