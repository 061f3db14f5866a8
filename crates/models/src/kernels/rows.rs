//! Weighted sums of rows of a table: the inner loop of sparse times dense, and of a tall matrix
//! times a small one.

use super::dispatch;
use super::lanes::{LANES, Lanes};
use super::prefetch::prefetch;

dispatch! {
    /// `out = Σ weights[n] · table[rows[n]]`, where a row of `table` is as long as `out`, a
    /// multiple of 16. Panics on a row outside of the table.
    weighted_rows => weighted_rows_body(
        out: &mut [f32],
        rows: &[u32],
        weights: &[f32],
        table: &[f32],
    )
}

#[inline(always)]
fn weighted_rows_body<L: Lanes>(out: &mut [f32], rows: &[u32], weights: &[f32], table: &[f32]) {
    let width = out.len();
    assert!(width.is_multiple_of(LANES) && rows.len() == weights.len());
    let last = rows.iter().copied().max().map_or(0, |row| row as usize + 1);
    assert!(last * width <= table.len());
    let mut from = 0;
    // SAFETY: `from + 16 V <= width` in each call, and all rows lie inside the table.
    unsafe {
        while from + 4 * LANES <= width {
            columns::<L, 4>(out, from, rows, weights, table.as_ptr());
            from += 4 * LANES;
        }
        while from < width {
            columns::<L, 1>(out, from, rows, weights, table.as_ptr());
            from += LANES;
        }
    }
}

/// How many rows ahead their memory is asked for.
const AHEAD: usize = 8;

dispatch! {
    /// Gathers rows of `table`, as long as `sum`, a multiple of 16: row `n` of `to` becomes
    /// `scales[n] · table[rows[n]]`, and `sum` grows by `wanted[n]` times that. `to` is in panels:
    /// sixteen columns of all rows, then the next sixteen. Panics on a row outside of the table.
    scaled_panels => scaled_panels_body(
        to: &mut [f32],
        sum: &mut [f32],
        rows: &[u32],
        scales: &[f32],
        wanted: &[f32],
        table: &[f32],
    )
}

#[inline(always)]
fn scaled_panels_body<L: Lanes>(
    to: &mut [f32],
    sum: &mut [f32],
    rows: &[u32],
    scales: &[f32],
    wanted: &[f32],
    table: &[f32],
) {
    let side = sum.len();
    assert!(side.is_multiple_of(LANES) && to.len() == rows.len() * side);
    assert!(rows.len() == scales.len() && rows.len() == wanted.len());
    let last = rows.iter().copied().max().map_or(0, |row| row as usize + 1);
    assert!(last * side <= table.len());
    let mut from = 0;
    while from < side {
        let to = &mut to[from * rows.len()..];
        // SAFETY: the columns lie inside the rows, and all rows inside the table.
        unsafe {
            if from + 4 * LANES <= side {
                panels::<L, 4>(to, sum, from, (rows, scales, wanted), table);
                from += 4 * LANES;
            } else {
                panels::<L, 1>(to, sum, from, (rows, scales, wanted), table);
                from += LANES;
            }
        }
    }
}

/// The columns `from..from + 16 V` of [`scaled_panels`], the first panels of `to`.
///
/// # Safety
/// `to` has V panels, the columns lie inside `sum`, every row inside of `table`.
#[inline(always)]
unsafe fn panels<L: Lanes, const V: usize>(
    to: &mut [f32],
    sum: &mut [f32],
    from: usize,
    (rows, scales, wanted): (&[u32], &[f32], &[f32]),
    table: &[f32],
) {
    let side = sum.len();
    // SAFETY: as the caller guarantees.
    unsafe {
        let mut sums = [L::splat(0.0); V];
        for (v, value) in sums.iter_mut().enumerate() {
            *value = L::load(sum.as_ptr().add(from + LANES * v));
        }
        for n in 0..rows.len() {
            if let Some(&ahead) = rows.get(n + AHEAD) {
                for v in 0..V {
                    prefetch(table, ahead as usize * side + from + LANES * v);
                }
            }
            let row = table.as_ptr().add(rows[n] as usize * side + from);
            let (scale, wanted) = (L::splat(scales[n]), L::splat(wanted[n]));
            for (v, value) in sums.iter_mut().enumerate() {
                let scaled = L::load(row.add(LANES * v)).mul(scale);
                *value = value.fma(wanted, scaled);
                scaled.store(to.as_mut_ptr().add((v * rows.len() + n) * LANES));
            }
        }
        for (v, value) in sums.iter().enumerate() {
            value.store(sum.as_mut_ptr().add(from + LANES * v));
        }
    }
}

/// The columns `from..from + 16 V` of the sum, held in registers.
///
/// # Safety
/// The columns lie inside `out`; every row of `rows` inside `table`, whose rows are as long as
/// `out`.
#[inline(always)]
unsafe fn columns<L: Lanes, const V: usize>(
    out: &mut [f32],
    from: usize,
    rows: &[u32],
    weights: &[f32],
    table: *const f32,
) {
    let width = out.len();
    // SAFETY: as the caller guarantees.
    unsafe {
        let mut sums = [L::splat(0.0); V];
        for (&row, &weight) in rows.iter().zip(weights) {
            let row = table.add(row as usize * width + from);
            let weight = L::splat(weight);
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = sum.fma(weight, L::load(row.add(LANES * v)));
            }
        }
        for (v, sum) in sums.iter().enumerate() {
            sum.store(out.as_mut_ptr().add(from + LANES * v));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;
    use crate::seeded::Seeded;

    #[test]
    fn every_instruction_set_gives_the_plain_sum() {
        let mut random = Seeded::new(3, 1);
        for width in [16, 64, 80, 144] {
            let table: Vec<f32> = (0..9 * width).map(|_| random.normal()).collect();
            let rows = [3_u32, 8, 0, 3];
            let weights = [0.5, -2.0, 1.5, 0.25];
            for isa in Isa::available() {
                let mut out = vec![7.0; width];
                weighted_rows(isa, &mut out, &rows, &weights, &table);
                for (column, got) in out.iter().enumerate() {
                    let term = |(&row, &weight): (&u32, &f32)| {
                        weight.mul_add(table[row as usize * width + column], 0.0)
                    };
                    let plain: f32 = rows.iter().zip(&weights).map(term).sum();
                    assert!((got - plain).abs() < 1e-5, "{isa:?} {width} {column}");
                }
            }
        }
    }

    #[test]
    #[should_panic]
    fn a_row_outside_of_the_table_is_refused() {
        weighted_rows(Isa::detect(), &mut [0.0; 16], &[1], &[1.0], &[0.0; 16]);
    }
}
