//! A list from which one item was chosen, under the softmax of its margins: what is compared is
//! only what was there to choose from, so what all items have in common needs no learning.

use super::example::Example;
use super::learner::OnlineLearner;
use super::math::{softmax, softmax_flow};
use super::rows::TableRow;

/// Memory to use again.
#[derive(Debug, Clone, Default)]
pub(super) struct ListScratch {
    margins: Vec<f32>,
    /// Derivative of the loss by each margin.
    slopes: Vec<f32>,
    indicators: Vec<Use>,
    numbers: Vec<Use>,
    indicator_steps: Vec<Step>,
    number_steps: Vec<Step>,
    /// How fast each margin falls when the steps are taken.
    direction: Vec<f32>,
    flow: Vec<f32>,
    /// Sums of the latent vectors of each item.
    sums: Vec<f32>,
}

/// An item has a feature.
#[derive(Debug, Clone, Copy)]
struct Use {
    place: u32,
    item: u32,
    value: f32,
}

/// Where a row goes: rate times gradient.
#[derive(Debug, Clone, Copy)]
struct Step {
    place: u32,
    by: f32,
}

impl OnlineLearner {
    /// Learns that item `chosen` was chosen from `list`, and returns the probability that it had
    /// before. A list without a choice (fewer than two items, `chosen` outside, an importance that
    /// is not above 0) changes nothing.
    pub fn learn_list(&mut self, list: &[Example<'_>], chosen: usize, importance: f32) -> f32 {
        let mut scratch = std::mem::take(&mut self.scratch);
        let s = &mut scratch.list;
        s.margins.clear();
        s.margins.extend(list.iter().map(|item| self.margin(item)));
        s.slopes.clone_from(&s.margins);
        softmax(&mut s.slopes);
        let probability = s.slopes.get(chosen).copied().unwrap_or(0.0);
        let says_something = list.len() > 1 && chosen < list.len();
        if says_something && importance > 0.0 && importance.is_finite() {
            s.slopes[chosen] -= 1.0;
            self.step_along_list(list, chosen, importance, s);
            self.learn_pairs_of_list(importance, s);
        }
        self.scratch = scratch;
        probability
    }

    fn step_along_list(
        &mut self,
        list: &[Example<'_>],
        chosen: usize,
        importance: f32,
        s: &mut ListScratch,
    ) {
        self.collect_uses(list, s);
        s.direction.clear();
        s.direction.resize(list.len(), 0.0);
        let slopes = Slopes {
            of: &s.slopes,
            importance,
            evidence: self.config.evidence,
        };
        let rows = &mut self.rows;
        let mut squared_size = s.indicators.len() as f32;
        slopes.aim(
            &mut rows.indicators,
            &s.indicators,
            (&mut s.indicator_steps, &mut s.direction),
        );
        slopes.aim(
            &mut rows.numbers,
            &s.numbers,
            (&mut s.number_steps, &mut s.direction),
        );
        for used in &s.numbers {
            squared_size += rows.numbers[used.place as usize].squared_share(used.value);
        }
        let per_item = squared_size / list.len() as f32;
        let factor = self.progress.step_factor(importance, per_item);
        let amount = self.config.learning_rate * importance * factor;
        let step = softmax_flow(&s.margins, &s.direction, chosen, amount, &mut s.flow);
        for Step { place, by } in &s.indicator_steps {
            rows.indicators[*place as usize].weight -= step * by;
        }
        for Step { place, by } in &s.number_steps {
            rows.numbers[*place as usize].weight -= step * by;
        }
        if self.is_followed {
            let places = |steps: &[Step]| -> Vec<u32> { steps.iter().map(|s| s.place).collect() };
            self.touched.extend(places(&s.indicator_steps));
            self.touched_numbers.extend(places(&s.number_steps));
        }
    }

    /// Moves the latent vectors: each by the sum of what the items that have it say.
    fn learn_pairs_of_list(&mut self, importance: f32, s: &mut ListScratch) {
        let width = self.factors.width;
        if width == 0 {
            return;
        }
        s.sums.clear();
        s.sums.resize(s.slopes.len() * width, 0.0);
        for used in &s.indicators {
            let vector = self.factors.vector(used.place);
            let start = used.item as usize * width;
            for (sum, value) in s.sums[start..start + width].iter_mut().zip(vector) {
                *sum += value;
            }
        }
        for same in s.indicators.chunk_by(|a, b| a.place == b.place) {
            for factor in 0..width {
                let value = self.factors.vector(same[0].place)[factor];
                let part = |used: &Use| {
                    let item = used.item as usize;
                    s.slopes[item] * (s.sums[item * width + factor] - value)
                };
                let gradient: f32 = same.iter().map(part).sum();
                self.factors
                    .step(same[0].place, factor, importance * gradient);
            }
        }
    }

    /// Which rows each item uses, in ascending order of place.
    fn collect_uses(&self, list: &[Example<'_>], s: &mut ListScratch) {
        s.indicators.clear();
        s.numbers.clear();
        for (item, example) in (0_u32..).zip(list) {
            for feature in example.holds() {
                s.indicators.push(Use {
                    place: self.rows.place(feature) as u32,
                    item,
                    value: 1.0,
                });
            }
            for number in example.numbers {
                s.numbers.push(Use {
                    place: self.rows.number_place(*number) as u32,
                    item,
                    value: number.finite(),
                });
            }
        }
        s.indicators.sort_by_key(|used| (used.place, used.item));
        s.numbers.sort_by_key(|used| (used.place, used.item));
    }
}

/// What all items of a list have in common has a gradient of 0 but for rounding, and an adaptive
/// step would make much of that.
const ROUNDING: f32 = 1e-5;
/// Probabilities are rounded to about a ten millionth however small the slopes that they leave.
const SIZE_MIN: f32 = 0.1;

/// What the rows of a list are moved by.
struct Slopes<'a> {
    of: &'a [f32],
    importance: f32,
    evidence: f32,
}

impl Slopes<'_> {
    /// Adds the gradients to the energies of the rows in use, says where each row goes, and how
    /// the margins fall with it.
    fn aim<R: TableRow>(
        &self,
        rows: &mut [R],
        uses: &[Use],
        (steps, direction): (&mut Vec<Step>, &mut [f32]),
    ) {
        steps.clear();
        for same in uses.chunk_by(|a, b| a.place == b.place) {
            let place = same[0].place;
            let row = &mut rows[place as usize];
            same.iter().for_each(|used| row.meet(used.value));
            let parts = same.iter().map(|u| self.of[u.item as usize] * u.value);
            let (gradient, size) = parts.fold((0.0, 0.0), |(sum, size): (f32, f32), part| {
                (sum + part, size + part.abs())
            });
            if gradient.abs() <= ROUNDING * size.max(SIZE_MIN) {
                continue;
            }
            row.add_energy(self.importance * gradient * gradient);
            let by = gradient * row.rate(self.evidence);
            for used in same {
                direction[used.item as usize] += by * used.value;
            }
            steps.push(Step { place, by });
        }
    }
}
