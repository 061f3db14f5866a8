//! Gram matrices: sums of outer products, in register-blocked tiles of the upper triangle.
//!
//! The same tiles do the trailing update of a factorisation (`dense`). Each element is one chain of
//! fused multiply-adds over the rows in their order, on every instruction set.

use super::dispatch;
use super::lanes::{LANES, Lanes};
use super::prefetch::Ahead;

/// Rows that a Gram update reads at a time, so that they stay in the first-level cache.
fn rows_per_block(side: usize) -> usize {
    (6144 / side).clamp(16, 256)
}

/// Rows in panels from which a Gram update is fast: a few panels fit into the first-level cache.
pub(crate) const PANEL_ROWS: usize = 128;

dispatch! {
    /// `upper += rowsᵀ rows` on the upper triangle; `rows` is n x side. Parts of the lower
    /// triangle near the diagonal are overwritten with the same sums.
    gram_add => gram_add_body(upper: &mut [f32], side: usize, rows: &[f32])
}

#[inline(always)]
fn gram_add_body<L: Lanes>(upper: &mut [f32], side: usize, rows: &[f32]) {
    assert!(side.is_multiple_of(LANES) && upper.len() == side * side);
    assert!(rows.len().is_multiple_of(side));
    for block in rows.chunks(rows_per_block(side) * side) {
        let at = Update {
            from: upper.as_ptr(),
            to: upper.as_mut_ptr(),
            side,
            rows: Rows {
                data: block.as_ptr(),
                count: block.len() / side,
                row: side,
                panel: LANES,
            },
        };
        // SAFETY: `upper` is side x side and `block` is count x side, both asserted above.
        unsafe { at.run::<L, false>(0, Ahead::default()) };
    }
}

dispatch! {
    /// As [`gram_add`] for rows in panels: sixteen columns of all rows, then the next sixteen. The
    /// sum is that with `base`, if there is one, in place of what `upper` holds.
    gram_add_panels => gram_add_panels_body(
        upper: &mut [f32],
        base: Option<&[f32]>,
        side: usize,
        panels: &[f32],
        ahead: Ahead<'_>,
    )
}

#[inline(always)]
fn gram_add_panels_body<L: Lanes>(
    upper: &mut [f32],
    base: Option<&[f32]>,
    side: usize,
    panels: &[f32],
    ahead: Ahead<'_>,
) {
    assert!(side > 0 && side.is_multiple_of(LANES) && upper.len() == side * side);
    assert!(base.is_none_or(|base| base.len() == upper.len()));
    assert!(panels.len().is_multiple_of(side));
    let count = panels.len() / side;
    let at = Update {
        from: base.map_or(upper.as_ptr(), <[f32]>::as_ptr),
        to: upper.as_mut_ptr(),
        side,
        rows: Rows {
            data: panels.as_ptr(),
            count,
            row: LANES,
            panel: count * LANES,
        },
    };
    let blocks = side / LANES;
    let tiles_per_block = if L::HAS_32_REGISTERS { 1 } else { 4 };
    let tiles = blocks * (blocks + 1) / 2 * tiles_per_block;
    // SAFETY: `upper` and `base` are side x side and `panels` is count x side, as asserted above.
    unsafe { at.run::<L, false>(0, ahead.over(tiles)) };
}

/// Rows whose element (k, j) is `data[k * row + j / 16 * panel + j % 16]`.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) data: *const f32,
    pub(super) count: usize,
    pub(super) row: usize,
    pub(super) panel: usize,
}

impl Rows {
    /// Column `j` of the first row.
    ///
    /// # Safety
    /// There is such a column.
    #[inline(always)]
    unsafe fn column(&self, j: usize) -> *const f32 {
        // SAFETY: as the caller guarantees.
        unsafe { self.data.add(j / LANES * self.panel + j % LANES) }
    }
}

/// `to = from ± rowsᵀ rows` on the upper triangle of side x side matrices, which may be one.
#[derive(Clone, Copy)]
pub(super) struct Update {
    pub(super) from: *const f32,
    pub(super) to: *mut f32,
    pub(super) side: usize,
    pub(super) rows: Rows,
}

impl Update {
    /// Does the tiles from row and column `first` on.
    ///
    /// # Safety
    /// `from` and `to` are side x side, `rows` is count x side and does not overlap the part written.
    #[inline(always)]
    pub(super) unsafe fn run<L: Lanes, const MINUS: bool>(
        self,
        first: usize,
        mut ahead: Ahead<'_>,
    ) {
        let side = self.side;
        let mut i = first;
        while i < side {
            let mut j = i - i % LANES;
            while j < side {
                let vectors = (side - j) / LANES;
                // SAFETY: the tile's rows i..i+8 (or 4) and columns lie inside the matrix, since
                // side and i are multiples of the tile's height.
                unsafe {
                    if L::HAS_32_REGISTERS {
                        match vectors {
                            1 => self.tile::<L, 8, 1, MINUS>(i, j),
                            2 | 4 => self.tile::<L, 8, 2, MINUS>(i, j),
                            _ => self.tile::<L, 8, 3, MINUS>(i, j),
                        }
                    } else {
                        self.tile::<L, 4, 1, MINUS>(i, j);
                    }
                }
                ahead.step();
                j += LANES
                    * match vectors {
                        _ if !L::HAS_32_REGISTERS => 1,
                        1 => 1,
                        2 | 4 => 2,
                        _ => 3,
                    };
            }
            i += if L::HAS_32_REGISTERS { 8 } else { 4 };
        }
    }

    /// One tile of R rows by 16 V columns, held in registers while all rows pass.
    ///
    /// # Safety
    /// As [`Self::run`]; the tile lies inside the matrices.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const R: usize, const V: usize, const MINUS: bool>(
        self,
        i: usize,
        j: usize,
    ) {
        let Rows {
            count, row, panel, ..
        } = self.rows;
        let first = i * self.side + j;
        // SAFETY: the caller guarantees that the tile and the rows lie inside their matrices.
        unsafe {
            let mut sums = [[L::splat(0.0); V]; R];
            for (r, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = L::load(self.from.add(first + r * self.side + LANES * v));
                }
            }
            let (left, right) = (self.rows.column(i), self.rows.column(j));
            for k in 0..count {
                let (left, from) = (left.add(k * row), right.add(k * row));
                let mut right = [L::splat(0.0); V];
                for (v, value) in right.iter_mut().enumerate() {
                    *value = L::load(from.add(panel * v));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let left = L::splat(*left.add(r));
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = if MINUS {
                            sum.fnma(left, right)
                        } else {
                            sum.fma(left, right)
                        };
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    sum.store(self.to.add(first + r * self.side + LANES * v));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;
    use crate::seeded::Seeded;

    #[test]
    fn both_layouts_give_the_plain_sum_with_the_same_bits_everywhere() {
        for side in [16, 48, 64, 80, 144] {
            let count = 37;
            let mut random = Seeded::new(7, 1);
            let rows: Vec<f32> = (0..count * side).map(|_| random.normal()).collect();
            let base: Vec<f32> = (0..side * side).map(|at| (at % 7) as f32).collect();
            let panels: Vec<f32> = (0..side / LANES)
                .flat_map(|panel| {
                    let rows = rows.chunks_exact(side);
                    rows.flat_map(move |row| row[panel * LANES..][..LANES].to_vec())
                })
                .collect();
            let mut portable = base.clone();
            gram_add(Isa::Portable, &mut portable, side, &rows);
            for isa in Isa::available() {
                let (mut a, mut b) = (base.clone(), vec![9.0; side * side]);
                gram_add(isa, &mut a, side, &rows);
                gram_add_panels(isa, &mut b, Some(&base), side, &panels, Ahead::default());
                for i in 0..side {
                    for j in i..side {
                        let at = i * side + j;
                        assert_eq!(a[at].to_bits(), portable[at].to_bits());
                        assert_eq!(b[at].to_bits(), portable[at].to_bits());
                    }
                }
            }
            for i in 0..side {
                for j in i..side {
                    let term = |row: &[f32]| f64::from(row[i]) * f64::from(row[j]);
                    let plain: f64 = rows.chunks_exact(side).map(term).sum();
                    let expected = plain + f64::from(base[i * side + j]);
                    let got = f64::from(portable[i * side + j]);
                    assert!((got - expected).abs() < 1e-3, "{side} {i} {j}: {got}");
                }
            }
        }
    }
}
