//! The ideal low pass: the leading right singular vectors of the normalised interactions.
//!
//! Block power iteration on `RᵀR` with a few more columns than wanted, orthonormalised in every
//! round by the Cholesky factor of its Gram matrix, then one Rayleigh-Ritz step (Halko, Martinsson
//! and Tropp, "Finding Structure with Randomness", 2011). Vectors near the cut may be mixed with
//! their neighbours; a filter does not notice.

use super::NAME;
use crate::error::ModelError;
use crate::item_item::Bipartite;
use crate::kernels::Isa;
use crate::kernels::dense::{cholesky, padded};
use crate::kernels::gram::gram_add;
use crate::kernels::rows::weighted_rows;
use crate::kernels::spectrum::spectrum;
use crate::seeded::Seeded;
use crate::trainer::Progress;
use rayon::prelude::*;

/// Columns iterated beyond those wanted, so that the wanted ones converge sooner.
const OVERSAMPLING: usize = 64;

/// Rounds of the power iteration.
const ROUNDS: usize = 14;

/// Added to the operator, whose largest eigenvalue is 1: it moves no eigenvector and keeps
/// directions that the operator erases from making the Gram matrix singular.
const SHIFT: f32 = 0.02;

/// Eigenvalues below this are directions that the data do not have.
const EIGENVALUE_MIN: f64 = 1e-4;

/// Parts of a Gram matrix that are summed apart; fixed, so the number of threads changes no bit.
const GRAM_PARTS: usize = 16;

/// Orthonormal columns, by item.
pub(super) struct LowPass {
    /// Values of each row, padded with zeros to a multiple of 16.
    pub(super) width: usize,
    /// A row for each item.
    pub(super) vectors: Vec<f32>,
}

impl LowPass {
    /// The `dimensions` leading directions of a matrix whose largest singular value is 1.
    pub(super) fn of(
        matrix: &Bipartite,
        dimensions: usize,
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Self, ModelError> {
        let items = matrix.by_item.len();
        let columns = (dimensions + OVERSAMPLING).min(items);
        let side = padded(columns);
        let mut users = vec![0.0_f32; matrix.by_user.len() * side];
        let mut basis = start(items, columns, seed);
        let mut next = vec![0.0_f32; basis.len()];
        orthonormalise(&mut basis, &mut next, columns)?;
        for round in 0..ROUNDS {
            progress.report(round as u64, ROUNDS as u64, "rounds");
            if progress.is_cancelled() {
                return Err(ModelError::Cancelled);
            }
            matrix.by_user.multiply_parallel(&basis, side, &mut users);
            matrix.by_item.multiply_parallel(&users, side, &mut next);
            let shifted = next.par_iter_mut().zip(&basis);
            shifted.for_each(|(next, basis)| *next += SHIFT * basis);
            std::mem::swap(&mut basis, &mut next);
            orthonormalise(&mut basis, &mut next, columns)?;
        }
        matrix.by_user.multiply_parallel(&basis, side, &mut users);
        let projected = gram(&users, side);
        Ok(Self::ritz(&basis, &projected, columns, dimensions))
    }

    /// The best `dimensions` directions within the span of `basis`, on which the operator is
    /// `projected`.
    fn ritz(basis: &[f32], projected: &[f32], columns: usize, dimensions: usize) -> Self {
        let side = padded(columns);
        let mut square = vec![0.0_f64; columns * columns];
        for i in 0..columns {
            for j in 0..columns {
                let value = projected[i.min(j) * side + i.max(j)];
                square[i * columns + j] = f64::from(value);
            }
        }
        let found = spectrum(Isa::detect(), &square, columns);
        let order = found.largest_first();
        let real = order
            .iter()
            .take_while(|at| found.values[**at] > EIGENVALUE_MIN);
        let kept = real.count().min(dimensions);
        let width = padded(kept.max(1));
        let mut turn = vec![0.0_f32; side * width];
        for (at, from) in order.iter().take(kept).enumerate() {
            let vector = &found.vectors[from * columns..][..columns];
            for (row, value) in vector.iter().enumerate() {
                turn[row * width + at] = *value as f32;
            }
        }
        let mut out = vec![0.0_f32; basis.len() / side * width];
        multiply_tall(basis, side, &turn, &mut out);
        Self {
            width,
            vectors: out,
        }
    }
}

/// Random columns, zero behind `columns`.
fn start(items: usize, columns: usize, seed: u64) -> Vec<f32> {
    let side = padded(columns);
    let mut basis = vec![0.0_f32; items * side];
    let rows = basis.par_chunks_exact_mut(side).enumerate();
    rows.for_each(|(item, row)| {
        let mut random = Seeded::new(seed, item as u64);
        row[..columns].fill_with(|| random.normal());
    });
    basis
}

/// Replaces `basis` by orthonormal columns of the same span; `scratch` is as long.
fn orthonormalise(
    basis: &mut Vec<f32>,
    scratch: &mut Vec<f32>,
    columns: usize,
) -> Result<(), ModelError> {
    let side = padded(columns);
    let mut factor = gram(basis, side);
    for i in columns..side {
        factor[i * side + i] = 1.0;
    }
    // What rounding may have taken from the smallest eigenvalue.
    let trace: f32 = (0..columns).map(|i| factor[i * side + i]).sum();
    for i in 0..columns {
        factor[i * side + i] += 1e-7 * trace;
    }
    if !cholesky(Isa::detect(), &mut factor, side) {
        return Err(ModelError::Numeric {
            model: NAME,
            what: "the power iteration lost a direction".to_owned(),
        });
    }
    multiply_tall(basis, side, &inverse_of_upper(&factor, side), scratch);
    std::mem::swap(basis, scratch);
    Ok(())
}

/// `rowsᵀ rows`, upper triangle.
fn gram(rows: &[f32], side: usize) -> Vec<f32> {
    let count = rows.len() / side;
    let part = count.div_ceil(GRAM_PARTS).max(1) * side;
    let parts: Vec<Vec<f32>> = rows
        .par_chunks(part)
        .map(|rows| {
            let mut upper = vec![0.0_f32; side * side];
            gram_add(Isa::detect(), &mut upper, side, rows);
            upper
        })
        .collect();
    let mut total = vec![0.0_f32; side * side];
    for part in parts {
        for (total, value) in total.iter_mut().zip(part) {
            *total += value;
        }
    }
    total
}

/// `U⁻¹`, upper, of the upper triangle of `upper`.
fn inverse_of_upper(upper: &[f32], side: usize) -> Vec<f32> {
    let mut inverse = vec![0.0_f32; side * side];
    for i in (0..side).rev() {
        let (head, tail) = inverse.split_at_mut((i + 1) * side);
        let row = &mut head[i * side..];
        let pivot = upper[i * side + i];
        for k in i + 1..side {
            let factor = -upper[i * side + k] / pivot;
            let below = &tail[(k - i - 1) * side..(k - i) * side];
            for (value, below) in row[k..].iter_mut().zip(&below[k..]) {
                *value = factor.mul_add(*below, *value);
            }
        }
        row[i] = 1.0 / pivot;
    }
    inverse
}

/// `out = tall · small`; rows of `tall` have `side` values, `small` is side x width.
fn multiply_tall(tall: &[f32], side: usize, small: &[f32], out: &mut [f32]) {
    let (isa, width) = (Isa::detect(), small.len() / side);
    let all: Vec<u32> = (0..side as u32).collect();
    let rows = out
        .par_chunks_exact_mut(width)
        .zip(tall.par_chunks_exact(side));
    rows.with_min_len(64)
        .for_each(|(out, row)| weighted_rows(isa, out, &all, row, small));
}
