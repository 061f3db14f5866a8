//! The option of a factorisation machine: every pair of features that hold together adds the inner
//! product of their latent vectors to the margin (Rendle 2010), in time linear in the features.

use super::config::OnlineConfig;
use super::example::Feature;
use crate::seeded::Seeded;

/// Most values of a latent vector.
pub(super) const FACTORS_MAX: usize = 64;
/// Spread of the first values; without any, no gradient would ever differ from 0.
const FIRST_SPREAD: f32 = 0.02;
/// Squared gradient that every factor is taken to have met, so that first steps are not jumps.
const FIRST_ENERGY: f32 = 1.0;

/// Latent vectors of all places; empty for a linear margin.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Factors {
    pub(super) width: usize,
    rate: f32,
    /// Row by row; values are read by the server, energies only here.
    pub(super) values: Vec<f32>,
    pub(super) energies: Vec<f32>,
    mask: usize,
}

impl Factors {
    pub(super) fn new(config: &OnlineConfig) -> Self {
        let rows = 1_usize << config.indicator_bits;
        let len = rows * config.factors;
        let mut random = Seeded::new(config.seed, 0x0F);
        Self {
            width: config.factors,
            rate: config.factor_rate,
            values: (0..len).map(|_| random.normal() * FIRST_SPREAD).collect(),
            energies: vec![0.0; len],
            mask: rows - 1,
        }
    }

    fn start(&self, feature: Feature) -> usize {
        (feature.0 as usize & self.mask) * self.width
    }

    /// The pairs' part of the margin.
    pub(super) fn margin(&self, features: impl Iterator<Item = Feature> + Clone) -> f32 {
        let starts = features.map(|feature| self.start(feature));
        pair_margin(&self.values, self.width, starts)
    }

    /// One step against `slope`, the derivative of the loss by the margin.
    pub(super) fn learn(&mut self, features: impl Iterator<Item = Feature> + Clone, slope: f32) {
        for factor in 0..self.width {
            let starts = features.clone().map(|feature| self.start(feature));
            let total: f32 = starts.map(|start| self.values[start + factor]).sum();
            for feature in features.clone() {
                let place = feature.0 as usize & self.mask;
                let value = self.values[place * self.width + factor];
                self.step(place as u32, factor, slope * (total - value));
            }
        }
    }

    /// The latent vector of a place.
    pub(super) fn vector(&self, place: u32) -> &[f32] {
        let start = place as usize * self.width;
        &self.values[start..start + self.width]
    }

    /// Moves one value against its gradient.
    pub(super) fn step(&mut self, place: u32, factor: usize, gradient: f32) {
        let at = place as usize * self.width + factor;
        self.energies[at] += gradient * gradient;
        let energy = FIRST_ENERGY + self.energies[at];
        self.values[at] -= self.rate * gradient / energy.sqrt();
    }
}

/// `½ Σ_f ((Σ v_f)² − Σ v_f²)` over the vectors that begin at `starts`.
pub(super) fn pair_margin(
    values: &[f32],
    width: usize,
    starts: impl Iterator<Item = usize>,
) -> f32 {
    if width == 0 {
        return 0.0;
    }
    let (mut sums, mut squares) = ([0.0_f32; FACTORS_MAX], [0.0_f32; FACTORS_MAX]);
    for start in starts {
        let vector = &values[start..start + width];
        for ((sum, square), value) in sums.iter_mut().zip(&mut squares).zip(vector) {
            *sum += value;
            *square += value * value;
        }
    }
    let both = sums.iter().zip(&squares);
    let pairs = both.map(|(sum, square)| sum * sum - square);
    0.5 * pairs.take(width).sum::<f32>()
}
