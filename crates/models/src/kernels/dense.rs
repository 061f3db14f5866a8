//! Dense linear algebra for many small symmetric systems: Cholesky, solves, dots.
//!
//! Matrices are square, row-major, upper triangle, with a side that is a multiple of 16 (padded
//! with a unit or ridge diagonal). Each element is the same sequence of fused operations on every
//! instruction set.

use super::dispatch;
use super::gram::{Rows, Update};
use super::lanes::{LANES, Lanes};
use super::prefetch::Ahead;

/// The next side that the kernels take.
#[must_use]
pub(crate) const fn padded(side: usize) -> usize {
    side.next_multiple_of(LANES)
}

dispatch! {
    /// Replaces the upper triangle of a positive definite matrix by `U` with `Uᵀ U = a`.
    /// `false` when a pivot is not positive; `a` is then half done.
    cholesky => cholesky_body(a: &mut [f32], side: usize) -> bool
}

#[inline(always)]
fn cholesky_body<L: Lanes>(a: &mut [f32], side: usize) -> bool {
    assert!(side.is_multiple_of(LANES) && a.len() == side * side);
    let base = a.as_mut_ptr();
    let mut k = 0;
    while k < side {
        // SAFETY: k is a multiple of 16 below `side`, so the 16 rows and all 16-column chunks
        // from k on lie inside the matrix.
        unsafe {
            let Some(inverse) = factor_diagonal::<L>(base.add(k * side + k), side) else {
                return false;
            };
            let mut j = k + LANES;
            while j < side {
                solve_chunk::<L>(base.add(k * side), side, (k, j), &inverse);
                j += LANES;
            }
            if k + LANES < side {
                let rows = Rows {
                    data: base.add(k * side),
                    count: LANES,
                    row: side,
                    panel: LANES,
                };
                let at = Update {
                    from: base,
                    to: base,
                    side,
                    rows,
                };
                at.run::<L, true>(k + LANES, Ahead::default());
            }
        }
        k += LANES;
    }
    true
}

/// Factors a 16 x 16 diagonal block in place and returns 1 over its diagonal.
///
/// # Safety
/// `block` points to 16 rows of 16 values, `side` apart.
#[inline(always)]
unsafe fn factor_diagonal<L: Lanes>(block: *mut f32, side: usize) -> Option<[f32; LANES]> {
    let mut inverse = [0.0_f32; LANES];
    // SAFETY: the caller guarantees the block.
    unsafe {
        for (k, inverse) in inverse.iter_mut().enumerate() {
            let row = block.add(k * side);
            let pivot = *row.add(k);
            if !(pivot > 0.0 && pivot < f32::INFINITY) {
                return None;
            }
            *inverse = 1.0 / pivot.sqrt();
            let scaled = L::load(row).mul(L::splat(*inverse));
            scaled.store(row);
            for r in k + 1..LANES {
                let below = block.add(r * side);
                let updated = L::load(below).fnma(L::splat(*row.add(r)), scaled);
                updated.store(below);
            }
        }
    }
    Some(inverse)
}

/// Solves the rows `k..k+16` of `U` for the columns `j..j+16`.
///
/// # Safety
/// `rows` points to 16 rows of `side` values; `at.1 + 16 <= side`.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // The two indices are a matrix's, not a walk over `u`.
unsafe fn solve_chunk<L: Lanes>(
    rows: *mut f32,
    side: usize,
    at: (usize, usize),
    inverse: &[f32; LANES],
) {
    let (k, j) = at;
    // SAFETY: the caller guarantees the rows and columns.
    unsafe {
        let mut u = [L::splat(0.0); LANES];
        for (r, value) in u.iter_mut().enumerate() {
            *value = L::load(rows.add(r * side + j));
        }
        for m in 0..LANES {
            u[m] = u[m].mul(L::splat(inverse[m]));
            let done = u[m];
            for r in m + 1..LANES {
                u[r] = u[r].fnma(L::splat(*rows.add(m * side + k + r)), done);
            }
        }
        for (r, value) in u.iter().enumerate() {
            value.store(rows.add(r * side + j));
        }
    }
}

dispatch! {
    /// Solves `Uᵀ U x = b` in place, `u` from [`cholesky`].
    solve => solve_body(u: &[f32], side: usize, x: &mut [f32])
}

#[inline(always)]
#[allow(clippy::needless_range_loop)] // The indices are a matrix's.
fn solve_body<L: Lanes>(u: &[f32], side: usize, x: &mut [f32]) {
    assert!(side.is_multiple_of(LANES) && u.len() == side * side && x.len() == side);
    let blocks = side / LANES;
    for block in 0..blocks {
        let k = block * LANES;
        for m in k..k + LANES {
            x[m] /= u[m * side + m];
            for r in m + 1..k + LANES {
                x[r] = (-u[m * side + r]).mul_add(x[m], x[r]);
            }
        }
        for chunk in block + 1..blocks {
            let j = chunk * LANES;
            // SAFETY: rows k..k+16 and columns j..j+16 lie inside `u`, j..j+16 inside `x`.
            unsafe {
                let mut sum = L::load(x.as_ptr().add(j));
                for m in k..k + LANES {
                    let row = L::load(u.as_ptr().add(m * side + j));
                    sum = sum.fnma(L::splat(x[m]), row);
                }
                sum.store(x.as_mut_ptr().add(j));
            }
        }
    }
    for block in (0..blocks).rev() {
        let k = block * LANES;
        for m in (k..k + LANES).rev() {
            // SAFETY: row m and the chunks behind the block lie inside `u` and `x`.
            let behind = unsafe {
                let mut sum = L::splat(0.0);
                for chunk in block + 1..blocks {
                    let j = chunk * LANES;
                    let row = L::load(u.as_ptr().add(m * side + j));
                    sum = sum.fma(row, L::load(x.as_ptr().add(j)));
                }
                sum.sum()
            };
            let mut value = x[m] - behind;
            for r in m + 1..k + LANES {
                value = (-u[m * side + r]).mul_add(x[r], value);
            }
            x[m] = value / u[m * side + m];
        }
    }
}

dispatch! {
    /// Inner product of two equally long vectors whose length is a multiple of 16.
    dot => dot_body(a: &[f32], b: &[f32]) -> f32
}

#[inline(always)]
fn dot_body<L: Lanes>(a: &[f32], b: &[f32]) -> f32 {
    assert!(a.len() == b.len() && a.len().is_multiple_of(LANES));
    // SAFETY: both slices hold a multiple of 16 values, as asserted.
    unsafe {
        let mut sum = L::splat(0.0);
        let mut i = 0;
        while i < a.len() {
            sum = sum.fma(L::load(a.as_ptr().add(i)), L::load(b.as_ptr().add(i)));
            i += LANES;
        }
        sum.sum()
    }
}

dispatch! {
    /// `y += scale * x` for equally long vectors whose length is a multiple of 16.
    add_scaled => add_scaled_body(y: &mut [f32], scale: f32, x: &[f32])
}

#[inline(always)]
fn add_scaled_body<L: Lanes>(y: &mut [f32], scale: f32, x: &[f32]) {
    assert!(x.len() == y.len() && x.len().is_multiple_of(LANES));
    // SAFETY: both slices hold a multiple of 16 values, as asserted.
    unsafe {
        let scale = L::splat(scale);
        let mut i = 0;
        while i < x.len() {
            let sum = L::load(y.as_ptr().add(i)).fma(scale, L::load(x.as_ptr().add(i)));
            sum.store(y.as_mut_ptr().add(i));
            i += LANES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;
    use crate::kernels::gram::gram_add;
    use crate::seeded::Seeded;

    fn rows(count: usize, side: usize) -> Vec<f32> {
        let mut random = Seeded::new(7, 1);
        (0..count * side).map(|_| random.normal()).collect()
    }

    fn system(isa: Isa, side: usize, count: usize) -> Vec<f32> {
        let mut a = vec![0.0; side * side];
        for i in 0..side {
            a[i * side + i] = 0.5;
        }
        gram_add(isa, &mut a, side, &rows(count, side));
        a
    }

    #[test]
    fn the_solution_solves_the_system() {
        for side in [16, 32, 64, 128, 144] {
            let a = system(Isa::detect(), side, 3 * side);
            let wanted: Vec<f32> = (0..side).map(|i| (i as f32 * 0.37).sin()).collect();
            let entry = |i: usize, j: usize| a[i.min(j) * side + i.max(j)];
            let mut x: Vec<f32> = (0..side)
                .map(|i| (0..side).map(|j| entry(i, j) * wanted[j]).sum())
                .collect();
            let mut u = a.clone();
            assert!(cholesky(Isa::detect(), &mut u, side));
            solve(Isa::detect(), &u, side, &mut x);
            for (got, wanted) in x.iter().zip(&wanted) {
                assert!((got - wanted).abs() < 2e-3, "{side}: {got} {wanted}");
            }
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        for side in [16, 64, 80, 160] {
            let run = |isa: Isa| {
                let mut a = system(isa, side, 100);
                let mut x = rows(1, side);
                assert!(cholesky(isa, &mut a, side));
                solve(isa, &a, side, &mut x);
                let mut y = rows(2, side).split_off(side);
                add_scaled(isa, &mut y, 0.3, &x);
                let product = dot(isa, &x, &y);
                let bits = |v: &[f32]| v.iter().map(|f| f.to_bits()).collect::<Vec<_>>();
                (bits(&x), bits(&y), product.to_bits())
            };
            let portable = run(Isa::Portable);
            for isa in Isa::available() {
                assert_eq!(run(isa), portable, "{isa:?} at side {side}");
            }
        }
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_is_told() {
        let mut a = vec![0.0; 16 * 16];
        assert!(!cholesky(Isa::detect(), &mut a, 16));
        a.fill(f32::NAN);
        assert!(!cholesky(Isa::detect(), &mut a, 16));
    }
}
