//! One outcome at a time under logistic loss.

use super::config::OnlineConfig;
use super::example::Example;
use super::factors::Factors;
use super::math::{logistic_flow, sigmoid};
use super::rows::{Rows, Sum, TableRow, adaptive_rate, sum};
use super::serving::OnlineWeights;
use crate::error::ModelError;

/// Everything that learning needs. Equal examples in equal order give equal bits.
#[derive(Debug, Clone)]
pub struct OnlineLearner {
    pub(super) config: OnlineConfig,
    pub(super) rows: Rows,
    pub(super) factors: Factors,
    pub(super) progress: Progress,
    /// Places whose weight changed since they were published last, with repetitions.
    pub(super) touched: Vec<u32>,
    pub(super) touched_numbers: Vec<u32>,
    pub(super) is_followed: bool,
    pub(super) scratch: Scratch,
}

/// How much has been learnt, which the normalisation rests on.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Progress {
    /// Importance of all examples.
    pub(super) importance: f64,
    /// Sum of the squared sizes of all examples, each feature in units of its scale.
    pub(super) squared_size: f64,
    /// Number of examples and lists.
    pub(super) examples: u64,
}

impl Progress {
    /// Counts an example, and returns the factor that makes a step independent of how many features
    /// an example has.
    pub(super) fn step_factor(&mut self, importance: f32, squared_size: f32) -> f32 {
        self.importance += f64::from(importance);
        self.squared_size += f64::from(importance) * f64::from(squared_size);
        self.examples += 1;
        if self.squared_size > 0.0 {
            (self.importance / self.squared_size).sqrt() as f32
        } else {
            1.0
        }
    }
}

/// Memory to use again.
#[derive(Debug, Clone, Default)]
pub(super) struct Scratch {
    places: Vec<u32>,
    weights: Vec<f32>,
    rates: Vec<f32>,
    pub(super) list: super::list::ListScratch,
}

impl OnlineLearner {
    /// A learner that knows nothing.
    ///
    /// # Errors
    /// A number of the configuration is outside its range.
    pub fn new(config: OnlineConfig) -> Result<Self, ModelError> {
        config.check()?;
        Ok(Self {
            rows: Rows::new(&config),
            factors: Factors::new(&config),
            progress: Progress::default(),
            touched: Vec::new(),
            touched_numbers: Vec::new(),
            is_followed: false,
            scratch: Scratch::default(),
            config,
        })
    }

    /// Its parameters.
    #[must_use]
    pub fn config(&self) -> &OnlineConfig {
        &self.config
    }

    /// How many examples and lists it has learnt from.
    #[must_use]
    pub fn examples(&self) -> u64 {
        self.progress.examples
    }

    /// The margin of an example, how it was shown included.
    #[must_use]
    pub fn margin(&self, example: &Example<'_>) -> f32 {
        let mut sum = Sum::default();
        for feature in example.holds() {
            sum.add(self.rows.indicators[self.rows.place(feature)].weight);
        }
        let mut total = sum.total() + example.prior;
        for number in example.numbers {
            let row = &self.rows.numbers[self.rows.number_place(*number)];
            total += row.weight * number.finite();
        }
        total + self.factors.margin(example.holds())
    }

    /// Asks the processor to load what the example will need; worth it for an example that is due
    /// two or three further on.
    #[inline]
    pub fn prefetch(&self, example: &Example<'_>) {
        self.rows.prefetch(example);
    }

    /// Learns whether it came true and returns the margin before. An importance that is not above
    /// 0 changes nothing.
    pub fn learn(&mut self, example: &Example<'_>, is_positive: bool, importance: f32) -> f32 {
        let mut scratch = std::mem::take(&mut self.scratch);
        let margin = self.gather(example, &mut scratch);
        if importance > 0.0 && importance.is_finite() {
            let sign = if is_positive { 1.0 } else { -1.0 };
            let slope = sigmoid(-sign * margin);
            let energy = importance * slope * slope;
            for rate in &mut scratch.rates {
                *rate = adaptive_rate(*rate + energy);
            }
            let gain = sum(&scratch.rates) + self.meet_numbers(example, energy);
            let factor = self.step_factor(example, importance);
            let flow = self.config.learning_rate * importance * gain * factor;
            let moved = sign * logistic_flow(sign * margin, flow);
            let step = if gain > 0.0 { moved / gain } else { 0.0 };
            self.scatter(example, &scratch, energy, step);
            self.factors
                .learn(example.holds(), -sign * slope * importance);
        }
        self.scratch = scratch;
        margin
    }

    /// Reads the rows of an example: places, weights, and energies in the place of rates.
    #[inline]
    fn gather(&self, example: &Example<'_>, scratch: &mut Scratch) -> f32 {
        scratch.places.clear();
        scratch.weights.clear();
        scratch.rates.clear();
        let rows = &self.rows;
        for feature in example.holds() {
            let place = rows.place(feature);
            let row = rows.indicators[place];
            scratch.places.push(place as u32);
            scratch.weights.push(row.weight);
            scratch.rates.push(row.energy + self.config.evidence);
        }
        let mut margin = sum(&scratch.weights) + example.prior;
        for number in example.numbers {
            let row = &rows.numbers[rows.number_place(*number)];
            margin += row.weight * number.finite();
        }
        margin + self.factors.margin(example.holds())
    }

    /// Lets the rows of numbers meet their values, and returns their part of the gain.
    fn meet_numbers(&mut self, example: &Example<'_>, energy: f32) -> f32 {
        let mut gain = 0.0;
        for number in example.numbers {
            let (place, value) = (self.rows.number_place(*number), number.finite());
            let row = &mut self.rows.numbers[place];
            row.meet(value);
            row.add_energy(energy * value * value);
            gain += row.rate(self.config.evidence) * value * value;
        }
        gain
    }

    fn step_factor(&mut self, example: &Example<'_>, importance: f32) -> f32 {
        let mut squared_size = (example.indicators.len() + example.shown.len()) as f32;
        for number in example.numbers {
            let row = &self.rows.numbers[self.rows.number_place(*number)];
            squared_size += row.squared_share(number.finite());
        }
        self.progress.step_factor(importance, squared_size)
    }

    /// Writes the rows of an example after a step.
    #[inline]
    fn scatter(&mut self, example: &Example<'_>, scratch: &Scratch, energy: f32, step: f32) {
        let read = scratch.places.iter().zip(&scratch.weights);
        for ((place, weight), rate) in read.zip(&scratch.rates) {
            let row = &mut self.rows.indicators[*place as usize];
            row.weight = weight + step * rate;
            row.energy += energy;
        }
        for number in example.numbers {
            let (place, value) = (self.rows.number_place(*number), number.finite());
            let row = &mut self.rows.numbers[place];
            row.weight += step * row.rate(self.config.evidence) * value;
            if self.is_followed {
                self.touched_numbers.push(place as u32);
            }
        }
        if self.is_followed {
            self.touched.extend_from_slice(&scratch.places);
        }
    }

    /// A copy of the weights, to serve from. From here on the learner remembers which rows it
    /// touches, and [`Self::publish`] brings the copy up to date.
    #[must_use]
    pub fn follow(&mut self) -> OnlineWeights {
        self.is_followed = true;
        self.touched.clear();
        self.touched_numbers.clear();
        OnlineWeights::of(self)
    }

    /// Writes the rows touched since the last time to `weights`, which came from [`Self::follow`],
    /// and returns how many they were.
    pub fn publish(&mut self, weights: &mut OnlineWeights) -> usize {
        self.touched.sort_unstable();
        self.touched.dedup();
        self.touched_numbers.sort_unstable();
        self.touched_numbers.dedup();
        weights.take_over(self, &self.touched, &self.touched_numbers);
        let count = self.touched.len() + self.touched_numbers.len();
        self.touched.clear();
        self.touched_numbers.clear();
        count
    }
}
