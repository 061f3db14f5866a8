//! The weights alone: what a request scores with.

use super::example::Example;
use super::factors::pair_margin;
use super::learner::OnlineLearner;
use super::rows::Sum;

/// Weights as of some moment of a learner.
#[derive(Debug, Clone, PartialEq)]
pub struct OnlineWeights {
    indicators: Vec<f32>,
    numbers: Vec<f32>,
    /// Latent vectors of `width` values each; empty for a linear margin.
    factors: Vec<f32>,
    width: usize,
    examples: u64,
}

impl OnlineWeights {
    pub(super) fn of(learner: &OnlineLearner) -> Self {
        let rows = &learner.rows;
        Self {
            indicators: rows.indicators.iter().map(|row| row.weight).collect(),
            numbers: rows.numbers.iter().map(|row| row.weight).collect(),
            factors: learner.factors.values.clone(),
            width: learner.factors.width,
            examples: learner.progress.examples,
        }
    }

    pub(super) fn take_over(&mut self, from: &OnlineLearner, places: &[u32], numbers: &[u32]) {
        for place in places {
            let place = *place as usize;
            self.indicators[place] = from.rows.indicators[place].weight;
            let vector = place * self.width..(place + 1) * self.width;
            self.factors[vector.clone()].copy_from_slice(&from.factors.values[vector]);
        }
        for place in numbers {
            let place = *place as usize;
            self.numbers[place] = from.rows.numbers[place].weight;
        }
        self.examples = from.progress.examples;
    }

    /// How many examples and lists they were learnt from.
    #[must_use]
    pub fn examples(&self) -> u64 {
        self.examples
    }

    /// The margin of an item that is yet to be shown: [`Example::shown`] is left out. The same bits
    /// as the learner's own margin of an example without it.
    #[must_use]
    pub fn margin(&self, example: &Example<'_>) -> f32 {
        let mask = self.indicators.len() - 1;
        let places = example
            .indicators
            .iter()
            .map(|feature| feature.0 as usize & mask);
        let mut sum = Sum::default();
        for place in places.clone() {
            sum.add(self.indicators[place]);
        }
        let mut margin = sum.total() + example.prior;
        let number_mask = self.numbers.len() - 1;
        for number in example.numbers {
            margin += self.numbers[number.feature.0 as usize & number_mask] * number.finite();
        }
        margin + pair_margin(&self.factors, self.width, places.map(|at| at * self.width))
    }

    /// Heap bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        4 * (self.indicators.len() + self.numbers.len() + self.factors.len())
    }
}
