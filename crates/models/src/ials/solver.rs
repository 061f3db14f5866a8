//! One least-squares row: the normal equations of a user (or an item) and their exact solution.
//!
//! `(α₀ VᵀV + Σ |c| v vᵀ + λ I) u = Σ_{c > 0} c v`. The first term is shared by all rows. The sum is
//! gathered into a contiguous block, scaled by `√|c|`, and added as one symmetric update.

use crate::kernels::rows::scaled_rows;
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

/// One observation of a row: which row of the other side, and the confidence with the sign of
/// the preference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Observed {
    pub(crate) row: u32,
    pub(crate) confidence: f32,
}

/// Memory that solving a row needs, reused from row to row.
pub(crate) struct Scratch {
    matrix: Vec<f32>,
    gathered: Vec<f32>,
    rows: Vec<u32>,
    roots: Vec<f32>,
}

impl Scratch {
    pub(crate) fn new(side: usize) -> Self {
        Self {
            matrix: vec![0.0; side * side],
            gathered: Vec::new(),
            rows: Vec::new(),
            roots: Vec::new(),
        }
    }
}

/// Observations gathered before each symmetric update; bounds scratch memory for huge rows.
const GATHER_ROWS: usize = 512;

/// What a row's system is made of, borrowed.
#[derive(Clone, Copy)]
pub(crate) struct RowSystem<'a> {
    pub(crate) isa: Isa,
    pub(crate) side: usize,
    pub(crate) others: &'a [f32],
    pub(crate) base: &'a [f32],
    pub(crate) ridge: Ridge,
}

/// Writes the solution for one row to `out`; zeros for a row without observations. `false`
/// when the system is singular or the solution not finite, `out` is then zeros.
pub(crate) fn solve_row(
    system: RowSystem<'_>,
    observed: &[Observed],
    scratch: &mut Scratch,
    out: &mut [f32],
) -> bool {
    let RowSystem {
        isa,
        side,
        others,
        base,
        ridge,
    } = system;
    out.fill(0.0);
    if observed.is_empty() {
        return true;
    }
    scratch.matrix.copy_from_slice(base);
    let mut frequency = ridge.frequency_of_none(others.len() / side);
    for block in observed.chunks(GATHER_ROWS) {
        scratch.gathered.resize(block.len() * side, 0.0);
        scratch.rows.clear();
        scratch.rows.extend(block.iter().map(|seen| seen.row));
        scratch.roots.clear();
        let roots = block.iter().map(|seen| seen.confidence.abs().sqrt());
        scratch.roots.extend(roots);
        scaled_rows(
            isa,
            &mut scratch.gathered,
            side,
            &scratch.rows,
            &scratch.roots,
            others,
        );
        let gathered = scratch.gathered.chunks_exact(side);
        for ((seen, root), row) in block.iter().zip(&scratch.roots).zip(gathered) {
            if seen.confidence > 0.0 {
                dense::add_scaled(isa, out, *root, row);
            }
            frequency += seen.confidence.abs();
        }
        dense::gram_add(isa, &mut scratch.matrix, side, &scratch.gathered);
    }
    let lambda = ridge.of_frequency(frequency);
    for diagonal in scratch.matrix.iter_mut().step_by(side + 1) {
        *diagonal += lambda;
    }
    let is_solved = dense::cholesky(isa, &mut scratch.matrix, side) && {
        dense::solve(isa, &scratch.matrix, side, out);
        out.iter().all(|value| value.is_finite())
    };
    if !is_solved {
        out.fill(0.0);
    }
    is_solved
}

/// `scale · VᵀV` in a fixed order of summation, whatever the number of threads: the split into
/// parts depends on the number of rows only.
pub(super) fn scaled_gram(isa: Isa, vectors: &[f32], side: usize, scale: f32) -> Vec<f32> {
    let rows_per_part = (vectors.len() / side).div_ceil(32).max(512);
    let parts: Vec<Vec<f32>> = vectors
        .par_chunks(rows_per_part * side)
        .map(|part| {
            let mut gram = vec![0.0_f32; side * side];
            dense::gram_add(isa, &mut gram, side, part);
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
        let observed: Vec<Observed> = [(3, 1.0), (7, 2.5), (30, -1.5)]
            .map(|(row, confidence)| Observed { row, confidence })
            .to_vec();
        let isa = Isa::detect();
        let system = RowSystem {
            isa,
            side,
            others: &others,
            base: &scaled_gram(isa, &others, side, ridge.unobserved_weight),
            ridge,
        };
        let mut u = vec![0.0; side];
        assert!(solve_row(
            system,
            &observed,
            &mut Scratch::new(side),
            &mut u
        ));

        let lambda = 0.2 + 0.05 * (1.0 + 2.5 + 1.5 + 0.1 * rows as f32);
        for d in 0..side {
            let mut gradient = lambda * u[d];
            for (row, v) in others.chunks(side).enumerate() {
                let dot: f32 = v.iter().zip(&u).map(|(a, b)| a * b).sum();
                gradient += 0.1 * dot * v[d];
                if let Some(seen) = observed.iter().find(|seen| seen.row as usize == row) {
                    let wanted = if seen.confidence > 0.0 { 1.0 } else { 0.0 };
                    gradient += seen.confidence.abs() * (dot - wanted) * v[d];
                }
            }
            assert!(gradient.abs() < 1e-4, "dimension {d}: {gradient}");
        }
    }
}
