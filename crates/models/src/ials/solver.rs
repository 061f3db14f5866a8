//! One least-squares row: the normal equations of a user (or an item) and their exact solution.
//!
//! `(α₀ VᵀV + Σ |c| v vᵀ + λ I) u = Σ_{c > 0} c v`. The first term is shared by all rows. The sum is
//! gathered into a contiguous block, scaled by `√|c|`, and added as one symmetric update.

use crate::kernels::gram::{PANEL_ROWS, gram_add, gram_add_panels};
use crate::kernels::prefetch::Ahead;
use crate::kernels::rows::scaled_panels;
use crate::kernels::table::Table;
use crate::kernels::{Isa, dense};
use rayon::prelude::*;

/// Weights of the objective's terms; see the module above.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ridge {
    pub(crate) unobserved_weight: f32,
    pub(crate) regularisation: f32,
    pub(crate) constant: f32,
    pub(crate) frequency_exponent: f32,
}

impl Ridge {
    /// What is added to the diagonal of a row with that frequency.
    pub(super) fn of_frequency(&self, frequency: f32) -> f32 {
        self.constant + self.regularisation * frequency.powf(self.frequency_exponent)
    }

    /// The frequency of a row that observed nothing of `others`.
    pub(super) fn frequency_of_none(&self, others: usize) -> f32 {
        self.unobserved_weight * others as f32
    }
}

/// Observations, each a row of the other side and the confidence with the sign of the preference.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Observed {
    rows: Vec<u32>,
    confidences: Vec<f32>,
}

impl Observed {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn push(&mut self, row: u32, confidence: f32) {
        self.rows.push(row);
        self.confidences.push(confidence);
    }

    /// Appends equally many rows and confidences.
    pub(super) fn append(&mut self, rows: &[u32], confidences: impl Iterator<Item = f32>) {
        self.rows.extend_from_slice(rows);
        self.confidences.extend(confidences);
        debug_assert_eq!(self.rows.len(), self.confidences.len());
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.confidences.clear();
    }

    /// All from the first on, of the table of vectors that they are rows of.
    pub(super) fn queue<'a>(&'a self, table: &'a [f32], side: usize) -> Queue<'a> {
        Queue {
            table,
            side,
            rows: &self.rows,
            confidences: &self.confidences,
            taken: 0,
            asked: 0,
        }
    }
}

/// Observations in the order in which they are used, which tells what memory to ask for early.
pub(super) struct Queue<'a> {
    table: &'a [f32],
    side: usize,
    rows: &'a [u32],
    confidences: &'a [f32],
    taken: usize,
    /// As many were asked for.
    asked: usize,
}

impl<'a> Queue<'a> {
    /// The next `count` observations, and what to ask for while they are used: what comes before
    /// the `reach`-th behind them.
    pub(super) fn take(&mut self, count: usize, reach: usize) -> (&'a [u32], &'a [f32], Ahead<'a>) {
        let (from, to) = (self.taken, self.taken + count);
        let asked = self.asked.max(to);
        self.asked = (to + reach).min(self.rows.len()).max(asked);
        self.taken = to;
        let ahead = Ahead::new(self.table, self.side, &self.rows[asked..self.asked]);
        (&self.rows[from..to], &self.confidences[from..to], ahead)
    }
}

/// Memory that a row's equations need, reused from row to row.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    panels: Table,
    roots: Vec<f32>,
    wanted: Vec<f32>,
}

/// What a row's system is made of, borrowed.
#[derive(Clone, Copy)]
pub(crate) struct RowSystem<'a> {
    pub(crate) isa: Isa,
    pub(crate) side: usize,
    pub(crate) others: &'a [f32],
    pub(crate) base: &'a [f32],
    pub(crate) ridge: Ridge,
}

impl RowSystem<'_> {
    /// Writes the equations of the row that the next `len` observations are of: the upper triangle
    /// of the matrix and the right side. Returns what the diagonal still lacks.
    pub(super) fn write_equations(
        &self,
        queue: &mut Queue<'_>,
        len: usize,
        gathered: &mut Gathered,
        matrix: &mut [f32],
        right: &mut [f32],
    ) -> f32 {
        let (isa, side) = (self.isa, self.side);
        let mut frequency = self.ridge.frequency_of_none(self.others.len() / side);
        right.fill(0.0);
        let blocks = len.div_ceil(PANEL_ROWS);
        for block in 0..blocks {
            let count = len * (block + 1) / blocks - len * block / blocks;
            let (rows, confidences, ahead) = queue.take(count, PANEL_ROWS);
            gathered.roots.clear();
            gathered.wanted.clear();
            for confidence in confidences {
                let root = confidence.abs().sqrt();
                gathered.roots.push(root);
                gathered
                    .wanted
                    .push(if *confidence > 0.0 { root } else { 0.0 });
                frequency += confidence.abs();
            }
            let panels = gathered.panels.room(count * side);
            let (roots, wanted) = (&gathered.roots, &gathered.wanted);
            scaled_panels(isa, panels, right, rows, roots, wanted, self.others);
            let base = (block == 0).then_some(self.base);
            gram_add_panels(isa, matrix, base, side, panels, ahead);
        }
        self.ridge.of_frequency(frequency)
    }
}

/// Solves `(matrix + ridge · I) x = right` in place of `right`, and spoils the matrix. `false` when
/// the system is singular or the solution not finite, which is then zeros.
pub(super) fn solve_equations(isa: Isa, matrix: &mut [f32], ridge: f32, right: &mut [f32]) -> bool {
    let side = right.len();
    for diagonal in matrix.iter_mut().step_by(side + 1) {
        *diagonal += ridge;
    }
    let is_solved = dense::cholesky(isa, matrix, side) && {
        dense::solve(isa, matrix, side, right);
        right.iter().all(|value| value.is_finite())
    };
    if !is_solved {
        right.fill(0.0);
    }
    is_solved
}

/// Writes the solution for one row to `out`; zeros for a row without observations. `false`
/// when the system is singular or the solution not finite, `out` is then zeros.
pub(crate) fn solve_row(system: RowSystem<'_>, observed: &Observed, out: &mut [f32]) -> bool {
    let side = system.side;
    if observed.is_empty() {
        out.fill(0.0);
        return true;
    }
    let mut matrix = Table::zeros(side * side);
    let mut queue = observed.queue(system.others, side);
    let len = observed.rows.len();
    let gathered = &mut Gathered::default();
    let ridge = system.write_equations(&mut queue, len, gathered, &mut matrix, out);
    solve_equations(system.isa, &mut matrix, ridge, out)
}

/// `scale · VᵀV` in a fixed order of summation, whatever the number of threads: the split into
/// parts depends on the number of rows only.
pub(super) fn scaled_gram(isa: Isa, vectors: &[f32], side: usize, scale: f32) -> Vec<f32> {
    let rows_per_part = (vectors.len() / side).div_ceil(32).max(512);
    let parts: Vec<Vec<f32>> = vectors
        .par_chunks(rows_per_part * side)
        .map(|part| {
            let mut gram = vec![0.0_f32; side * side];
            gram_add(isa, &mut gram, side, part);
            gram
        })
        .collect();
    let mut total = vec![0.0_f32; side * side];
    for part in &parts {
        dense::add_scaled(isa, &mut total, scale, part);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Seeded;

    #[test]
    fn the_gradient_of_the_objective_is_zero_at_the_solution() {
        let (side, rows) = (16, 40);
        let mut random = Seeded::new(5, 0);
        let others: Vec<f32> = (0..rows * side).map(|_| random.normal() * 0.3).collect();
        let ridge = Ridge {
            unobserved_weight: 0.1,
            regularisation: 0.05,
            constant: 0.2,
            frequency_exponent: 1.0,
        };
        let seen = [(3, 1.0), (7, 2.5), (30, -1.5)];
        let mut observed = Observed::default();
        for (row, confidence) in seen {
            observed.push(row, confidence);
        }
        let isa = Isa::detect();
        let system = RowSystem {
            isa,
            side,
            others: &others,
            base: &scaled_gram(isa, &others, side, ridge.unobserved_weight),
            ridge,
        };
        let mut u = vec![0.0; side];
        assert!(solve_row(system, &observed, &mut u));

        let lambda = 0.2 + 0.05 * (1.0 + 2.5 + 1.5 + 0.1 * rows as f32);
        for d in 0..side {
            let mut gradient = lambda * u[d];
            for (row, v) in others.chunks(side).enumerate() {
                let dot: f32 = v.iter().zip(&u).map(|(a, b)| a * b).sum();
                gradient += 0.1 * dot * v[d];
                if let Some((_, confidence)) = seen.iter().find(|(at, _)| *at as usize == row) {
                    let wanted = if *confidence > 0.0 { 1.0 } else { 0.0 };
                    gradient += confidence.abs() * (dot - wanted) * v[d];
                }
            }
            assert!(gradient.abs() < 1e-4, "dimension {d}: {gradient}");
        }
    }
}
