//! The basis that vectors are in while they are trained.
//!
//! Turning all vectors changes no inner product, so the objective does not see it. In the basis of
//! the eigenvectors of what all rows share that part is a diagonal, which is what makes rows with
//! few observations cheap.

use crate::kernels::Isa;
use crate::kernels::product::{Left, Out, Packed, multiply};
use crate::kernels::spectrum::spectrum;
use rayon::prelude::*;

/// Vectors that one task turns.
const ROWS_PER_TASK: usize = 256;

/// Where the vectors are relative to where they began.
#[derive(Debug, PartialEq)]
pub(super) struct Basis {
    side: usize,
    /// A vector in this basis is the first one times this matrix.
    axes: Vec<f64>,
}

impl Basis {
    pub(super) fn new(side: usize) -> Self {
        let mut axes = vec![0.0; side * side];
        for diagonal in axes.iter_mut().step_by(side + 1) {
            *diagonal = 1.0;
        }
        Self { side, axes }
    }

    /// Length of the vectors.
    pub(super) fn side(&self) -> usize {
        self.side
    }

    /// Turns `vectors` so that `upper`, the upper triangle of a multiple of their Gram matrix,
    /// becomes a diagonal, and returns that.
    pub(super) fn turn(&mut self, upper: &[f32], vectors: &mut [f32]) -> Vec<f32> {
        let side = self.side;
        let cell = |at: usize| {
            let (row, column) = (at / side, at % side);
            f64::from(upper[row.min(column) * side + row.max(column)])
        };
        let full: Vec<f64> = (0..side * side).map(cell).collect();
        let found = spectrum(Isa::detect(), &full, side);
        turn_all(&found.vectors, side, vectors);
        let axes = self.axes.par_chunks_exact(side).flat_map_iter(|axis| {
            let to = found.vectors.chunks_exact(side);
            to.map(|to| axis.iter().zip(to).map(|(a, b)| a * b).sum::<f64>())
        });
        self.axes = axes.collect();
        found.values.iter().map(|value| *value as f32).collect()
    }

    /// Turns vectors of this basis back to the first.
    pub(super) fn undo(&self, vectors: &mut [f32]) {
        turn_all(&self.axes, self.side, vectors);
    }
}

/// Replaces each vector by its inner products with the rows of `axes`.
fn turn_all(axes: &[f64], side: usize, vectors: &mut [f32]) {
    let axes: Vec<f32> = axes.iter().map(|value| *value as f32).collect();
    let mut packed = Packed::default();
    packed.pack_transposed(&axes, side, side, side);
    let tasks = vectors.par_chunks_mut(ROWS_PER_TASK * side);
    tasks.for_each_init(Vec::new, |from: &mut Vec<f32>, to| {
        from.clear();
        from.extend_from_slice(to);
        let rows = to.len() / side;
        let out = Out::rows(to, side);
        let left = Left::rows(from, side);
        multiply(Isa::detect(), out, rows, left, packed.whole());
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ials::solver::scaled_gram;
    use crate::seeded::Seeded;

    #[test]
    fn turning_makes_the_gram_matrix_a_diagonal_and_can_be_undone() {
        let (side, isa) = (32, Isa::detect());
        let mut random = Seeded::new(2, 1);
        let before: Vec<f32> = (0..600 * side).map(|_| random.normal()).collect();
        let (mut vectors, mut basis) = (before.clone(), Basis::new(side));
        for _ in 0..3 {
            let upper = scaled_gram(isa, &vectors, side, 0.5);
            let diagonal = basis.turn(&upper, &mut vectors);
            let turned = scaled_gram(isa, &vectors, side, 0.5);
            for i in 0..side {
                for j in i..side {
                    let wanted = if i == j { diagonal[i] } else { 0.0 };
                    assert!((turned[i * side + j] - wanted).abs() < 1e-2, "{i} {j}");
                }
            }
        }
        basis.undo(&mut vectors);
        let furthest = before.iter().zip(&vectors).map(|(a, b)| (a - b).abs());
        assert!(furthest.fold(0.0, f32::max) < 1e-4);
    }
}
