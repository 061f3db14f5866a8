//! Columns of `(AᵀA + λI)⁻¹` from one dense Cholesky factor: for catalogues whose square fits in
//! memory and whose interactions are so many that conjugate gradients would cost more.

use super::NAME;
use crate::error::ModelError;
use crate::item_item::{Bipartite, COLUMNS};
use crate::kernels::Isa;
use crate::kernels::dense::{cholesky, padded};
use crate::kernels::rows::weighted_rows;
use rayon::prelude::*;

/// Items above which the square, 4 bytes an entry, is not for memory.
const ITEMS_MAX: usize = 16_384;

/// Interactions as often as which the square may have entries: tens of iterations, each two
/// products with the interactions, cost about as much.
const ENTRIES_PER_INTERACTION: usize = 100;

/// A factored system.
pub(super) struct Factor {
    side: usize,
    /// `U` with `UᵀU` the system on and above the diagonal, `Uᵀ` below.
    square: Vec<f32>,
    rows: Vec<u32>,
}

impl Factor {
    /// Whether factoring is the cheaper way to solve.
    pub(super) fn is_cheaper(items: usize, interactions: usize) -> bool {
        items <= ITEMS_MAX && items * items <= ENTRIES_PER_INTERACTION * interactions
    }

    /// Factors `matrixᵀ matrix + ridge`.
    pub(super) fn new(matrix: &Bipartite, ridge: f32) -> Result<Self, ModelError> {
        let items = matrix.by_item.len();
        let side = padded(items);
        let mut square = vec![0.0_f32; side * side];
        let rows = square.par_chunks_exact_mut(side).enumerate();
        rows.with_min_len(16).for_each(|(item, row)| {
            row[item] = ridge;
            if item < items {
                add_products(matrix, item, row);
            }
        });
        if !cholesky(Isa::detect(), &mut square, side) {
            return Err(ModelError::Numeric {
                model: NAME,
                what: "the system was singular; raise `regularisation`".to_owned(),
            });
        }
        mirror(&mut square, side);
        Ok(Self {
            side,
            square,
            rows: (0..side as u32).collect(),
        })
    }

    /// Writes the columns `first..first + 64` of the inverse to `out`, a row of 64 for each item.
    pub(super) fn columns(&self, first: usize, out: &mut [f32]) {
        let (isa, items) = (Isa::detect(), out.len() / COLUMNS);
        let mut sum = [0.0_f32; COLUMNS];
        out.fill(0.0);
        for item in first..items {
            let (before, row) = out.split_at_mut(item * COLUMNS);
            let factors = &self.square[item * self.side..][first..item];
            weighted_rows(isa, &mut sum, &self.rows[first..item], factors, before);
            let pivot = self.square[item * (self.side + 1)];
            for (column, (value, sum)) in row.iter_mut().zip(&sum).enumerate() {
                let wanted = f32::from(u8::from(item == first + column));
                *value = (wanted - sum) / pivot;
            }
        }
        for item in (0..items).rev() {
            let (row, behind) = out[item * COLUMNS..].split_at_mut(COLUMNS);
            let factors = &self.square[item * self.side..][item + 1..items];
            let rows = &self.rows[..factors.len()];
            weighted_rows(isa, &mut sum, rows, factors, behind);
            let pivot = self.square[item * (self.side + 1)];
            for (value, sum) in row.iter_mut().zip(&sum) {
                *value = (*value - sum) / pivot;
            }
        }
    }
}

/// Adds the inner products of an item with itself and the items behind it.
fn add_products(matrix: &Bipartite, item: usize, row: &mut [f32]) {
    let (users, weights) = matrix.by_item.row(item);
    for (&user, &weight) in users.iter().zip(weights) {
        let (others, strengths) = matrix.by_user.row(user as usize);
        for (&other, &strength) in others.iter().zip(strengths) {
            if other as usize >= item {
                row[other as usize] += weight * strength;
            }
        }
    }
}

/// Copies the upper triangle to the lower one, in tiles that stay in the cache.
fn mirror(square: &mut [f32], side: usize) {
    const TILE: usize = 16;
    for top in (0..side).step_by(TILE) {
        for left in (top..side).step_by(TILE) {
            for row in top..top + TILE {
                for column in left.max(row + 1)..left + TILE {
                    square[column * side + row] = square[row * side + column];
                }
            }
        }
    }
}
