//! Columns of `(AᵀA + λI)⁻¹` by conjugate gradients, 64 right-hand sides at a time, each with its
//! own step lengths, preconditioned by the diagonal (Golub and Van Loan, "Matrix Computations",
//! 11.5). The ridge bounds the condition number, so tens of products with the sparse interactions
//! are enough.

use crate::item_item::{Bipartite, COLUMNS};

/// Iterations after which a column is taken as it is.
const ITERATIONS_MAX: usize = 300;

/// A system with many right-hand sides.
pub(super) struct Solver<'a> {
    matrix: &'a Bipartite,
    ridge: f32,
    tolerance: f64,
    /// 1 over the diagonal of the system.
    inverse_diagonal: Vec<f32>,
}

/// Memory of one thread.
pub(super) struct Scratch {
    users: Vec<f32>,
    residual: Vec<f32>,
    direction: Vec<f32>,
    image: Vec<f32>,
}

/// One number for each column of the block.
type PerColumn = [f64; COLUMNS];

impl<'a> Solver<'a> {
    /// The system of `matrix` with a ridge.
    pub(super) fn new(matrix: &'a Bipartite, ridge: f32, tolerance: f64) -> Self {
        let inverse = |item| {
            let weights = matrix.by_item.row(item).1.iter();
            let square: f64 = weights.map(|weight| f64::from(*weight).powi(2)).sum();
            (1.0 / (square + f64::from(ridge))) as f32
        };
        Self {
            matrix,
            ridge,
            tolerance,
            inverse_diagonal: (0..matrix.by_item.len()).map(inverse).collect(),
        }
    }

    pub(super) fn scratch(&self) -> Scratch {
        let len = self.inverse_diagonal.len() * COLUMNS;
        Scratch {
            users: vec![0.0; self.matrix.by_user.len() * COLUMNS],
            residual: vec![0.0; len],
            direction: vec![0.0; len],
            image: vec![0.0; len],
        }
    }

    /// Writes the columns `first..first + 64` of the inverse to `out`.
    pub(super) fn columns(&self, scratch: &mut Scratch, first: usize, out: &mut [f32]) {
        let items = self.inverse_diagonal.len();
        out.fill(0.0);
        scratch.residual.fill(0.0);
        scratch.direction.fill(0.0);
        let mut energy: PerColumn = [0.0; COLUMNS];
        for (column, item) in (first..items.min(first + COLUMNS)).enumerate() {
            let at = item * COLUMNS + column;
            scratch.residual[at] = 1.0;
            scratch.direction[at] = self.inverse_diagonal[item];
            energy[column] = f64::from(self.inverse_diagonal[item]);
        }
        let goals = energy.map(|start| start * self.tolerance * self.tolerance);
        for _ in 0..ITERATIONS_MAX {
            let steps = self.image(scratch, &energy);
            let next = self.advance(scratch, &steps, out);
            if next.iter().zip(&goals).all(|(next, goal)| next <= goal) {
                break;
            }
            let share = |(next, old): (&f64, &f64)| if *old > 0.0 { next / old } else { 0.0 };
            let mut keep = [0.0_f32; COLUMNS];
            for (keep, pair) in keep.iter_mut().zip(next.iter().zip(&energy)) {
                *keep = share(pair) as f32;
            }
            self.turn(scratch, &keep);
            energy = next;
        }
    }

    /// Computes the image of the direction and the step to take along it.
    fn image(&self, scratch: &mut Scratch, energy: &PerColumn) -> [f32; COLUMNS] {
        let Scratch {
            users,
            direction,
            image,
            ..
        } = scratch;
        self.matrix.gram(direction, COLUMNS, users, image);
        let mut curvature: PerColumn = [0.0; COLUMNS];
        let rows = image
            .chunks_exact_mut(COLUMNS)
            .zip(direction.chunks_exact(COLUMNS));
        for (image, direction) in rows {
            for column in 0..COLUMNS {
                image[column] += self.ridge * direction[column];
                curvature[column] += f64::from(image[column] * direction[column]);
            }
        }
        let mut steps = [0.0_f32; COLUMNS];
        for (step, (energy, curvature)) in steps.iter_mut().zip(energy.iter().zip(&curvature)) {
            *step = if *curvature > 0.0 {
                (energy / curvature) as f32
            } else {
                0.0
            };
        }
        steps
    }

    /// Takes the steps and returns the energy of what is left.
    fn advance(&self, scratch: &mut Scratch, steps: &[f32; COLUMNS], out: &mut [f32]) -> PerColumn {
        let mut energy: PerColumn = [0.0; COLUMNS];
        let rows = out
            .chunks_exact_mut(COLUMNS)
            .zip(scratch.residual.chunks_exact_mut(COLUMNS))
            .zip(scratch.direction.chunks_exact(COLUMNS))
            .zip(scratch.image.chunks_exact(COLUMNS))
            .zip(&self.inverse_diagonal);
        for ((((out, residual), direction), image), inverse) in rows {
            for column in 0..COLUMNS {
                out[column] += steps[column] * direction[column];
                residual[column] -= steps[column] * image[column];
                energy[column] += f64::from(residual[column] * residual[column] * inverse);
            }
        }
        energy
    }

    /// The next direction: the preconditioned residual and a share of the last direction.
    fn turn(&self, scratch: &mut Scratch, keep: &[f32; COLUMNS]) {
        let rows = (scratch.direction.chunks_exact_mut(COLUMNS))
            .zip(scratch.residual.chunks_exact(COLUMNS))
            .zip(&self.inverse_diagonal);
        for ((direction, residual), inverse) in rows {
            for column in 0..COLUMNS {
                direction[column] = inverse * residual[column] + keep[column] * direction[column];
            }
        }
    }
}
