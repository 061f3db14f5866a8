//! `(AᵀA + λI)⁻¹` whole and dense: for catalogues whose square fits in memory and whose interactions
//! are so many that conjugate gradients would cost more.
//!
//! By sweeps (Goodnight, "A Tutorial on the SWEEP Operator", The American Statistician 33, 1979),
//! a block at a time and in place, which is as much arithmetic as a Cholesky factor and an inverse
//! from it, nearly all of it one product of matrices a block.

use super::NAME;
use crate::error::ModelError;
use crate::item_item::{Bipartite, COLUMNS};
use crate::kernels::Isa;
use crate::kernels::dense::padded;
use crate::kernels::product::{Left, Out, Packed, multiply, multiply_add};
use crate::trainer::Progress;
use rayon::prelude::*;
use std::ops::Range;

/// Items above which the square, 4 bytes an entry, is not for memory.
const ITEMS_MAX: usize = 16_384;

/// Interactions as often as which the square may have entries: tens of iterations, each two
/// products with the interactions, cost about as much.
const ENTRIES_PER_INTERACTION: usize = 100;

/// Rows and columns that are swept at once.
const BLOCK: usize = 256;

/// The same within such a block, and what is swept a number at a time.
const SMALL_BLOCK: usize = 16;

/// Rows of the square that one task updates.
const BAND: usize = 96;

/// Rows of the block that one task writes, side by side.
const STRIP: usize = 16;

/// The inverse.
pub(super) struct Inverse {
    side: usize,
    /// Minus the inverse, on and above the diagonal.
    minus: Vec<f32>,
}

impl Inverse {
    /// Whether a dense inverse is the cheaper way to solve.
    pub(super) fn is_cheaper(items: usize, interactions: usize) -> bool {
        items <= ITEMS_MAX && items * items <= ENTRIES_PER_INTERACTION * interactions
    }

    /// Inverts `matrixᵀ matrix + ridge`.
    pub(super) fn new(
        matrix: &Bipartite,
        ridge: f32,
        progress: &dyn Progress,
    ) -> Result<Self, ModelError> {
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
        let mut scratch = Scratch::default();
        for first in (0..side).step_by(BLOCK) {
            let block = first..side.min(first + BLOCK);
            progress.report(first as u64, side as u64, "columns");
            if progress.is_cancelled() {
                return Err(ModelError::Cancelled);
            }
            if !sweep(&mut square, side, block, &mut scratch) {
                return Err(ModelError::Numeric {
                    model: NAME,
                    what: "the system was singular; raise `regularisation`".to_owned(),
                });
            }
        }
        Ok(Self {
            side,
            minus: square,
        })
    }

    /// Writes the columns `first..first + 64` to `out`, a row of 64 for each item.
    pub(super) fn columns(&self, first: usize, out: &mut [f32]) {
        let (side, width) = (self.side, COLUMNS.min(self.side - first));
        let above = out.chunks_exact_mut(COLUMNS).take(first + width);
        for (to, row) in above.zip(self.minus.chunks_exact(side)) {
            let values = row[first..first + width].iter();
            to.iter_mut()
                .zip(values)
                .for_each(|(to, value)| *to = -value);
        }
        let rows = &self.minus[first * side..(first + width) * side];
        for (tile, to) in out.chunks_mut(BAND * COLUMNS).enumerate() {
            for (column, row) in rows.chunks_exact(side).enumerate() {
                let from = (tile * BAND).max(first + column);
                let to = to.chunks_exact_mut(COLUMNS).skip(from - tile * BAND);
                to.zip(&row[from..])
                    .for_each(|(to, value)| to[column] = -value);
            }
        }
    }
}

/// Memory of the sweeps of one matrix.
#[derive(Default)]
struct Scratch {
    /// `A[i, K]` for all `i`, a row each, with zeros where `i` is in the block.
    panel: Vec<f32>,
    /// `-A[i, K] D`.
    minus_product: Vec<f32>,
    minus_d: Vec<f32>,
    packed: Packed,
}

/// Sweeps a symmetric matrix, of which only the upper triangle is read and written, on a block `K`:
/// with `D = A[K, K]⁻¹`, `A[i, j]` becomes `A[i, j] - A[i, K] D A[K, j]` outside of the block,
/// `A[i, K]` becomes `A[i, K] D`, and `A[K, K]` becomes `-D`. Swept on all blocks in turn, a
/// positive definite matrix becomes minus its inverse. `false` when `A[K, K]` is not positive
/// definite; the matrix is then half done.
fn sweep(square: &mut [f32], side: usize, block: Range<usize>, scratch: &mut Scratch) -> bool {
    let width = block.len();
    let Scratch {
        panel,
        minus_product,
        minus_d,
        packed,
    } = scratch;
    minus_d.clear();
    for row in square.chunks_exact(side).skip(block.start).take(width) {
        minus_d.extend_from_slice(&row[block.clone()]);
    }
    if !sweep_whole(minus_d, width) {
        return false;
    }
    mirror(minus_d, width);

    fill_panel(panel, square, side, &block);
    let (isa, parts) = (Isa::detect(), parts_per_task(side));
    packed.pack(minus_d, width, width, width);
    minus_product.resize(side * width, 0.0);
    let bands = minus_product.par_chunks_mut(BAND * width);
    let bands = bands.zip(panel.par_chunks(BAND * width));
    bands.with_min_len(parts).for_each(|(to, from)| {
        let (rows, left) = (from.len() / width, Left::rows(from, width));
        multiply(isa, Out::rows(to, width), rows, left, packed.whole());
    });

    packed.pack_transposed(panel, width, width, side);
    let bands = square.par_chunks_mut(BAND * side);
    let bands = bands
        .zip(minus_product.par_chunks(BAND * width))
        .enumerate();
    bands.with_min_len(parts).for_each(|(band, (to, from))| {
        let (first, rows) = (band * BAND, from.len() / width);
        let right = packed.part(width, first..side);
        let (out, left) = (Out::rows(&mut to[first..], side), Left::rows(from, width));
        multiply_add(isa, out, rows, left, right);
    });

    let bands = square.par_chunks_mut(BAND * side);
    let bands = bands.zip(minus_product.par_chunks(BAND * width));
    bands.with_min_len(parts).for_each(|(to, from)| {
        for (row, product) in to.chunks_exact_mut(side).zip(from.chunks_exact(width)) {
            let to = row[block.clone()].iter_mut();
            to.zip(product).for_each(|(to, value)| *to = -value);
        }
    });
    let rows = &mut square[block.start * side..block.end * side];
    let strips = rows.par_chunks_mut(STRIP * side).enumerate();
    strips.with_min_len(parts).for_each(|(strip, rows)| {
        let first = strip * STRIP;
        for (at, row) in rows.chunks_exact_mut(side).enumerate() {
            row[block.clone()].copy_from_slice(&minus_d[(first + at) * width..][..width]);
        }
        let products = minus_product.chunks_exact(width).enumerate();
        for (item, product) in products.skip(block.end) {
            let to = rows.iter_mut().skip(item).step_by(side);
            to.zip(&product[first..])
                .for_each(|(to, value)| *to = -value);
        }
    });
    true
}

/// How many bands or strips of a matrix one task takes: all of one that is a block itself.
const fn parts_per_task(side: usize) -> usize {
    if side > BLOCK { 1 } else { side }
}

/// Collects `A[i, K]` from the upper triangle.
fn fill_panel(panel: &mut Vec<f32>, square: &[f32], side: usize, block: &Range<usize>) {
    let width = block.len();
    panel.resize(side * width, 0.0);
    let bands = panel.par_chunks_mut(BAND * width).enumerate();
    let bands = bands.with_min_len(parts_per_task(side));
    bands.for_each(|(band, to)| {
        let first = band * BAND;
        for (item, to) in (first..).zip(to.chunks_exact_mut(width)) {
            if item < block.start {
                to.copy_from_slice(&square[item * side..][block.clone()]);
            } else if item < block.end {
                to.fill(0.0);
            }
        }
        let from = first.max(block.end);
        for at in 0..width {
            let row = &square[(block.start + at) * side..][..side];
            let to = to.chunks_exact_mut(width).skip(from - first);
            to.zip(&row[from.min(side)..])
                .for_each(|(to, value)| to[at] = *value);
        }
    });
}

/// Sweeps all of a matrix of at most [`BLOCK`] rows, a multiple of 16.
fn sweep_whole(square: &mut [f32], side: usize) -> bool {
    if side <= SMALL_BLOCK {
        return sweep_numbers(square, side);
    }
    let mut scratch = Scratch::default();
    let mut firsts = (0..side).step_by(SMALL_BLOCK);
    firsts.all(|first| {
        let block = first..side.min(first + SMALL_BLOCK);
        sweep(square, side, block, &mut scratch)
    })
}

/// The same, a number at a time, in double precision.
fn sweep_numbers(square: &mut [f32], side: usize) -> bool {
    let mut wide = vec![0.0_f64; side * side];
    for row in 0..side {
        for column in row..side {
            wide[row * side + column] = f64::from(square[row * side + column]);
            wide[column * side + row] = wide[row * side + column];
        }
    }
    for k in 0..side {
        let pivot = wide[k * side + k];
        if !(pivot > 0.0 && pivot.is_finite()) {
            return false;
        }
        let row: Vec<f64> = wide[k * side..][..side].to_vec();
        for i in (0..side).filter(|i| *i != k) {
            let share = row[i] / pivot;
            for (value, other) in wide[i * side..][..side].iter_mut().zip(&row) {
                *value -= share * other;
            }
            wide[i * side + k] = share;
            wide[k * side + i] = share;
        }
        wide[k * side + k] = -1.0 / pivot;
    }
    for (to, value) in square.iter_mut().zip(&wide) {
        *to = *value as f32;
    }
    true
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
