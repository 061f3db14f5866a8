//! The tables of a learner: a row for each place that features hash to.
//!
//! Indicators are most features and always have size 1, so their rows need no scale and eight
//! bytes are enough: what limits the speed of learning is how many cache lines it touches.

use super::config::OnlineConfig;
use super::example::{Example, Feature, Number};
use crate::kernels::prefetch::prefetch;

/// State of an indicator.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C)]
pub(super) struct Row {
    pub(super) weight: f32,
    /// Sum of squared gradients.
    pub(super) energy: f32,
}

/// State of a number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C)]
pub(super) struct NumberRow {
    pub(super) weight: f32,
    /// Sum of squared gradients.
    pub(super) energy: f32,
    /// Largest magnitude met.
    pub(super) scale: f32,
}

/// Gradients are squared: below this there is nothing to divide by.
const ENERGY_MIN: f32 = 1e-20;

/// What learning asks of a row, whichever table it is in.
pub(super) trait TableRow {
    /// Meets a value, before anything is learnt from it.
    fn meet(&mut self, value: f32);
    /// Adds to the sum of squared gradients.
    fn add_energy(&mut self, energy: f32);
    /// Step for a gradient of 1.
    fn rate(&self, evidence: f32) -> f32;
}

impl TableRow for Row {
    fn meet(&mut self, _value: f32) {}

    fn add_energy(&mut self, energy: f32) {
        self.energy += energy;
    }

    fn rate(&self, evidence: f32) -> f32 {
        adaptive_rate(self.energy + evidence)
    }
}

impl TableRow for NumberRow {
    /// If it is the largest so far, the weight shrinks to what it would be had the unit been
    /// smaller from the beginning.
    fn meet(&mut self, value: f32) {
        let size = value.abs();
        if size > self.scale {
            if self.scale > 0.0 {
                self.weight *= self.scale / size;
            }
            self.scale = size;
        }
    }

    fn add_energy(&mut self, energy: f32) {
        self.energy += energy;
    }

    fn rate(&self, evidence: f32) -> f32 {
        if self.scale > 0.0 {
            adaptive_rate(self.energy + evidence * self.scale * self.scale) / self.scale
        } else {
            0.0
        }
    }
}

impl NumberRow {
    /// Squared size of a value in units of the scale.
    pub(super) fn squared_share(&self, value: f32) -> f32 {
        if self.scale > 0.0 {
            let share = value / self.scale;
            share * share
        } else {
            0.0
        }
    }
}

/// Step of a row that has met this much.
#[inline]
pub(super) fn adaptive_rate(energy: f32) -> f32 {
    1.0 / energy.max(ENERGY_MIN).sqrt()
}

/// Both tables.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rows {
    pub(super) indicators: Vec<Row>,
    pub(super) numbers: Vec<NumberRow>,
}

impl Rows {
    pub(super) fn new(config: &OnlineConfig) -> Self {
        Self {
            indicators: vec![Row::default(); 1 << config.indicator_bits],
            numbers: vec![NumberRow::default(); 1 << config.number_bits],
        }
    }

    /// Place of an indicator.
    #[inline]
    pub(super) fn place(&self, feature: Feature) -> usize {
        feature.0 as usize & (self.indicators.len() - 1)
    }

    /// Place of a number.
    #[inline]
    pub(super) fn number_place(&self, number: Number) -> usize {
        number.feature.0 as usize & (self.numbers.len() - 1)
    }

    /// Asks for the rows of an example.
    #[inline]
    pub(super) fn prefetch(&self, example: &Example<'_>) {
        for feature in example.holds() {
            prefetch(&self.indicators, self.place(feature));
        }
    }
}

/// Sums in eight interleaved parts, so that additions need not wait for each other; the order is
/// fixed, so learner and server get the same bits.
#[derive(Debug, Default)]
pub(super) struct Sum {
    parts: [f32; 8],
    next: usize,
}

impl Sum {
    #[inline]
    pub(super) fn add(&mut self, value: f32) {
        self.parts[self.next % 8] += value;
        self.next += 1;
    }

    #[inline]
    pub(super) fn total(&self) -> f32 {
        let p = &self.parts;
        ((p[0] + p[4]) + (p[1] + p[5])) + ((p[2] + p[6]) + (p[3] + p[7]))
    }
}

/// The same sum over a slice.
#[inline]
pub(super) fn sum(values: &[f32]) -> f32 {
    let mut parts = [0.0_f32; 8];
    let mut chunks = values.chunks_exact(8);
    for chunk in &mut chunks {
        for (part, value) in parts.iter_mut().zip(chunk) {
            *part += value;
        }
    }
    for (part, value) in parts.iter_mut().zip(chunks.remainder()) {
        *part += value;
    }
    Sum { parts, next: 0 }.total()
}
