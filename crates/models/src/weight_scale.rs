//! How the strength of an interaction becomes its weight in a model: a power of it, relative to
//! the average of the training data, so that other parameters mean the same whatever its unit.

use crate::artifact::{Reader, Writer};
use crate::error::ModelError;
use crate::interactions::Interactions;

/// `(|w|^exponent) / mean`, at most [`CONFIDENCE_MAX`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct WeightScale {
    exponent: f32,
    mean: f32,
}

/// `base^exponent`; the usual exponents are asked for so often that a general power would cost.
fn power(base: f32, exponent: f32) -> f32 {
    match exponent {
        0.0 => 1.0,
        0.5 => base.sqrt(),
        1.0 => base,
        _ => base.powf(exponent),
    }
}

/// No interaction counts more than this many average ones.
pub(crate) const CONFIDENCE_MAX: f32 = 10.0;

impl WeightScale {
    /// The scale on which the average interaction of `data` is 1.
    pub(crate) fn of(data: &Interactions, exponent: f32) -> Self {
        let powers = data
            .rows()
            .flat_map(|row| row.weights.iter())
            .map(|weight| f64::from(power(weight.abs(), exponent)));
        let mean = (powers.sum::<f64>() / data.len() as f64) as f32;
        let is_usable = mean.is_finite() && mean > 0.0;
        Self {
            exponent,
            mean: if is_usable { mean } else { 1.0 },
        }
    }

    /// The confidence with the sign of the strength.
    pub(crate) fn signed_confidence(&self, weight: f32) -> f32 {
        let scaled = power(weight.abs(), self.exponent) / self.mean;
        scaled.min(CONFIDENCE_MAX).copysign(weight)
    }

    pub(crate) fn encode(&self, writer: &mut Writer<'_>) {
        writer.f32(self.exponent);
        writer.f32(self.mean);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, ModelError> {
        Ok(Self {
            exponent: reader.f32()?,
            mean: reader.f32()?,
        })
    }
}
