//! The conditional logit: weights under which the chosen candidates are likely among the others.
//!
//! Candidate `i` of an example is chosen with probability `exp(w·x_i) / Σ_j exp(w·x_j)` (McFadden,
//! "Conditional logit analysis of qualitative choice behavior", 1974). Maximises the log-likelihood
//! less `ridge / 2 · |w - prior|²` by Newton steps, halved where they overshoot. The sum over
//! examples is taken in fixed chunks, so the number of threads changes no bit.

use rayon::prelude::*;

/// The candidates of one user.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    /// One row of features for each candidate.
    pub(super) rows: Vec<f32>,
    /// The row that was chosen.
    pub(super) chosen: usize,
}

/// Newton steps; a handful is enough as the objective is concave.
const STEPS_MAX: usize = 30;
/// Halvings of one step before it is given up.
const HALVINGS_MAX: usize = 20;
/// Gain of a step, per example, below which the weights no longer matter.
const GAIN_MIN: f64 = 1e-9;
/// Examples that are summed one after the other.
const CHUNK: usize = 64;

/// Value, gradient and negative Hessian.
struct Sums {
    value: f64,
    gradient: Vec<f64>,
    curvature: Vec<f64>,
}

impl Sums {
    fn new(width: usize) -> Self {
        Self {
            value: 0.0,
            gradient: vec![0.0; width],
            curvature: vec![0.0; width * width],
        }
    }

    fn add(&mut self, other: &Self) {
        self.value += other.value;
        let pairs = self.gradient.iter_mut().zip(&other.gradient);
        pairs.for_each(|(to, from)| *to += from);
        let pairs = self.curvature.iter_mut().zip(&other.curvature);
        pairs.for_each(|(to, from)| *to += from);
    }

    /// Adds one example; its derivatives only if they are asked for.
    fn add_choice(&mut self, choice: &Choice, weights: &[f64], with_derivatives: bool) {
        let width = weights.len();
        let rows = || choice.rows.chunks_exact(width);
        let utility = |row: &[f32]| -> f64 {
            let products = row.iter().zip(weights).map(|(x, w)| f64::from(*x) * w);
            products.sum()
        };
        let mut shares: Vec<f64> = rows().map(utility).collect();
        let largest = shares.iter().copied().fold(f64::MIN, f64::max);
        let of_chosen = shares[choice.chosen];
        shares.iter_mut().for_each(|u| *u = (*u - largest).exp());
        let total: f64 = shares.iter().sum();
        self.value += of_chosen - largest - total.ln();
        if !with_derivatives {
            return;
        }
        let mut mean = vec![0.0_f64; width];
        for (row, share) in rows().zip(&shares) {
            let share = share / total;
            // What is so unlikely moves no sum.
            if share < 1e-9 {
                continue;
            }
            for (a, &x) in row.iter().enumerate() {
                let weighted = share * f64::from(x);
                mean[a] += weighted;
                let line = &mut self.curvature[a * width..=a * width + a];
                line.iter_mut()
                    .zip(row)
                    .for_each(|(to, y)| *to += weighted * f64::from(*y));
            }
        }
        let chosen = rows().nth(choice.chosen).into_iter().flatten();
        for (a, x) in chosen.enumerate() {
            self.gradient[a] += f64::from(*x) - mean[a];
            for b in 0..=a {
                self.curvature[a * width + b] -= mean[a] * mean[b];
            }
        }
    }
}

/// The weights of `choices`; `prior` where they say nothing.
pub(super) fn fit(choices: &[Choice], prior: &[f64], ridge: f64) -> Vec<f64> {
    let width = prior.len();
    let sums = |weights: &[f64], with_derivatives: bool| {
        let of_chunk = |chunk: &[Choice]| {
            let mut sums = Sums::new(width);
            for choice in chunk {
                sums.add_choice(choice, weights, with_derivatives);
            }
            sums
        };
        let chunks: Vec<Sums> = choices.par_chunks(CHUNK).map(of_chunk).collect();
        let mut all = Sums::new(width);
        chunks.iter().for_each(|chunk| all.add(chunk));
        for (at, (weight, prior)) in weights.iter().zip(prior).enumerate() {
            let away = weight - prior;
            all.value -= 0.5 * ridge * away * away;
            all.gradient[at] -= ridge * away;
            all.curvature[at * width + at] += ridge;
        }
        all
    };
    let mut weights = prior.to_vec();
    for _ in 0..STEPS_MAX {
        let now = sums(&weights, true);
        let Some(step) = solve(now.curvature, now.gradient) else {
            break;
        };
        let mut length = 1.0;
        let better = (0..HALVINGS_MAX).find_map(|_| {
            let moved = weights.iter().zip(&step).map(|(w, s)| w + length * s);
            let moved: Vec<f64> = moved.collect();
            length *= 0.5;
            let value = sums(&moved, false).value;
            (value > now.value).then_some((moved, value - now.value))
        });
        let Some((moved, gain)) = better else {
            break;
        };
        weights = moved;
        if gain < GAIN_MIN * choices.len() as f64 {
            break;
        }
    }
    weights
}

/// Solves a positive definite system, of which the lower triangle is given, by Cholesky; none if it
/// is not positive definite.
fn solve(mut matrix: Vec<f64>, mut vector: Vec<f64>) -> Option<Vec<f64>> {
    let n = vector.len();
    for i in 0..n {
        for j in 0..=i {
            let products = (0..j).map(|k| matrix[i * n + k] * matrix[j * n + k]);
            let rest = matrix[i * n + j] - products.sum::<f64>();
            matrix[i * n + j] = if i == j {
                if rest.is_nan() || rest <= 0.0 {
                    return None;
                }
                rest.sqrt()
            } else {
                rest / matrix[j * n + j]
            };
        }
    }
    for i in 0..n {
        let products = (0..i).map(|k| matrix[i * n + k] * vector[k]);
        vector[i] = (vector[i] - products.sum::<f64>()) / matrix[i * n + i];
    }
    for i in (0..n).rev() {
        let products = (i + 1..n).map(|k| matrix[k * n + i] * vector[k]);
        vector[i] = (vector[i] - products.sum::<f64>()) / matrix[i * n + i];
    }
    vector
        .iter()
        .all(|value| value.is_finite())
        .then_some(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_one_yes_or_no_feature_the_weight_is_the_log_odds() {
        // Of two candidates the one with the feature is chosen three times out of four.
        let choice = |chosen| Choice {
            rows: vec![1.0, 0.0],
            chosen,
        };
        let choices: Vec<Choice> = [0, 0, 0, 1].map(choice).to_vec();
        let weights = fit(&choices, &[0.0], 1e-9);
        assert!((weights[0] - 3.0_f64.ln()).abs() < 1e-6, "{weights:?}");
    }

    #[test]
    fn without_examples_the_prior_stays_and_a_large_ridge_holds_it() {
        assert_eq!(fit(&[], &[1.0, 0.5], 1.0), [1.0, 0.5]);
        let choice = Choice {
            rows: vec![1.0, 0.0, 0.0, 1.0],
            chosen: 1,
        };
        let weights = fit(&[choice], &[1.0, 0.5], 1e9);
        assert!((weights[0] - 1.0).abs() < 1e-6 && (weights[1] - 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_system_is_solved_or_refused() {
        let solved = solve(vec![4.0, 0.0, 2.0, 3.0], vec![8.0, 7.0]).unwrap();
        assert!((solved[0] - 1.25).abs() < 1e-12 && (solved[1] - 1.5).abs() < 1e-12);
        assert_eq!(solve(vec![-1.0], vec![1.0]), None);
    }
}
