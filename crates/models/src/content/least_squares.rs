//! Ridge regression of many outputs on sparse rows: `min Σ |t_i - xᵢW|² + λ |W|²`, by conjugate
//! gradients on the normal equations.
//!
//! The outputs share the matrix but not their steps: each has its own, so all are solved at once in
//! passes over the rows. Every sum runs in an order that the data alone decide.

use crate::kernels::{Isa, dense};
use rayon::prelude::*;

/// Passes after which it ends; a remainder matters less than the noise of what is regressed on.
const PASSES_MAX: usize = 60;
/// Share of the first gradient's length at which an output is solved.
const TOLERANCE: f64 = 1e-4;
/// Rows of a partial sum.
const ROWS_PER_SUM: usize = 256;

/// Sparse rows, and the same by column.
pub(super) struct SparseRows {
    by_row: Vec<Vec<(u32, f32)>>,
    by_column: Vec<Vec<(u32, f32)>>,
}

impl SparseRows {
    /// `rows` name columns below `columns`.
    pub(super) fn new(rows: Vec<Vec<(u32, f32)>>, columns: usize) -> Self {
        let mut by_column = vec![Vec::new(); columns];
        for (row, entries) in (0_u32..).zip(&rows) {
            for (column, value) in entries {
                by_column[*column as usize].push((row, *value));
            }
        }
        Self {
            by_row: rows,
            by_column,
        }
    }

    /// `out[row] = Σ value · from[column]`, or the other way round.
    fn multiply(entries: &[Vec<(u32, f32)>], from: &[f32], side: usize, out: &mut [f32]) {
        let isa = Isa::detect();
        out.par_chunks_mut(side)
            .zip(entries)
            .for_each(|(out, entries)| {
                out.fill(0.0);
                for (at, value) in entries {
                    let start = *at as usize * side;
                    dense::add_scaled(isa, out, *value, &from[start..start + side]);
                }
            });
    }
}

/// Solves for `columns x side` weights; `targets` is `rows x side`, `side` a multiple of 16.
/// Returns early with what it has if `is_cancelled` says so.
pub(super) fn solve(
    rows: &SparseRows,
    (targets, side): (&[f32], usize),
    ridge: f32,
    is_cancelled: &dyn Fn() -> bool,
) -> Vec<f32> {
    let columns = rows.by_column.len();
    let mut solution = vec![0.0_f32; columns * side];
    let mut residual = vec![0.0_f32; columns * side];
    SparseRows::multiply(&rows.by_column, targets, side, &mut residual);
    // Columns differ in length by orders of magnitude: steps are taken relative to it.
    let scale_of = |entries: &Vec<(u32, f32)>| {
        let squares: f32 = entries.iter().map(|(_, value)| value * value).sum();
        1.0 / (squares + ridge)
    };
    let scales: Vec<f32> = rows.by_column.iter().map(scale_of).collect();
    let scaled = |vectors: &[f32]| {
        let mut out = vectors.to_vec();
        let chunks = out.par_chunks_mut(side).zip(&scales);
        chunks.for_each(|(row, scale)| row.iter_mut().for_each(|value| *value *= scale));
        out
    };
    let mut towards = scaled(&residual);
    let mut steepness = dots(&residual, &towards, side);
    let goal: Vec<f64> = steepness
        .iter()
        .map(|s| s * TOLERANCE * TOLERANCE)
        .collect();
    let mut through = vec![0.0_f32; targets.len()];
    let mut image = vec![0.0_f32; columns * side];
    for _ in 0..PASSES_MAX {
        let is_solved = steepness.iter().zip(&goal).all(|(now, goal)| now <= goal);
        if is_solved || is_cancelled() {
            break;
        }
        SparseRows::multiply(&rows.by_row, &towards, side, &mut through);
        SparseRows::multiply(&rows.by_column, &through, side, &mut image);
        add(&mut image, &towards, &vec![ridge; side]);
        let curvature = dots(&towards, &image, side);
        let steps: Vec<f32> = (0..side)
            .map(|at| quotient(steepness[at], curvature[at]))
            .collect();
        add(&mut solution, &towards, &steps);
        let back: Vec<f32> = steps.iter().map(|step| -step).collect();
        add(&mut residual, &image, &back);
        let next = scaled(&residual);
        let steepness_next = dots(&residual, &next, side);
        let keep: Vec<f32> = (0..side)
            .map(|at| quotient(steepness_next[at], steepness[at]))
            .collect();
        turn(&mut towards, &next, &keep);
        steepness = steepness_next;
    }
    solution
}

/// 0 where there is nothing left to divide.
fn quotient(above: f64, below: f64) -> f32 {
    if below > 0.0 && above.is_finite() {
        (above / below) as f32
    } else {
        0.0
    }
}

/// `to += factor · from`, by output.
fn add(to: &mut [f32], from: &[f32], factors: &[f32]) {
    let side = factors.len();
    let rows = to.par_chunks_mut(side).zip(from.par_chunks(side));
    rows.for_each(|(to, from)| {
        for ((to, from), factor) in to.iter_mut().zip(from).zip(factors) {
            *to += factor * from;
        }
    });
}

/// `to = from + factor · to`, by output.
fn turn(to: &mut [f32], from: &[f32], factors: &[f32]) {
    let side = factors.len();
    let rows = to.par_chunks_mut(side).zip(from.par_chunks(side));
    rows.for_each(|(to, from)| {
        for ((to, from), factor) in to.iter_mut().zip(from).zip(factors) {
            *to = from + factor * *to;
        }
    });
}

/// The inner product of each output's two columns.
fn dots(a: &[f32], b: &[f32], side: usize) -> Vec<f64> {
    let parts: Vec<Vec<f64>> = (a.par_chunks(side * ROWS_PER_SUM))
        .zip(b.par_chunks(side * ROWS_PER_SUM))
        .map(|(a, b)| {
            let mut sums = vec![0.0_f64; side];
            for (a, b) in a.chunks_exact(side).zip(b.chunks_exact(side)) {
                for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                    *sum += f64::from(*a) * f64::from(*b);
                }
            }
            sums
        })
        .collect();
    let mut total = vec![0.0_f64; side];
    for part in &parts {
        total
            .iter_mut()
            .zip(part)
            .for_each(|(sum, part)| *sum += part);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Seeded;

    #[test]
    fn the_gradient_is_zero_at_the_solution() {
        let (rows_len, columns, side) = (60, 12, 16);
        let mut random = Seeded::new(3, 0);
        let row = |random: &mut Seeded| -> Vec<(u32, f32)> {
            let entry = |column| (column, random.normal() * (1.0 + column as f32));
            (0..columns as u32).step_by(3).map(entry).collect()
        };
        let mut rows: Vec<Vec<(u32, f32)>> = (0..rows_len).map(|_| row(&mut random)).collect();
        rows.iter_mut().enumerate().for_each(|(at, row)| {
            row.push((1 + (at % 2) as u32, 1.0));
        });
        let targets: Vec<f32> = (0..rows_len * side).map(|_| random.normal()).collect();
        let ridge = 0.7;
        let matrix = SparseRows::new(rows.clone(), columns);
        let solution = solve(&matrix, (&targets, side), ridge, &|| false);
        for output in 0..side {
            let weight = |column: usize| solution[column * side + output];
            let mut gradient: Vec<f32> = (0..columns).map(|c| ridge * weight(c)).collect();
            for (at, row) in rows.iter().enumerate() {
                let fitted: f32 = row.iter().map(|(c, x)| x * weight(*c as usize)).sum();
                let off = fitted - targets[at * side + output];
                row.iter()
                    .for_each(|(c, x)| gradient[*c as usize] += off * x);
            }
            let worst = gradient.iter().fold(0.0_f32, |worst, g| worst.max(g.abs()));
            assert!(worst < 0.05, "output {output}: {gradient:?}");
            assert_eq!(weight(4), 0.0, "a column without entries stays at rest");
        }
    }
}
