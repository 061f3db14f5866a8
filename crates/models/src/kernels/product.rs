//! Products of matrices: packed right sides, register-blocked tiles, one order of operations.
//!
//! The right side is packed into panels of sixteen columns, once for as many products as use it.
//! Each element of the result is one chain of fused multiply-adds over the inner index in
//! ascending order, whatever the tile and the instruction set, so equal inputs give equal bits.

use super::dispatch;
use super::lanes::{LANES, Lanes};

/// Columns of a panel.
pub(crate) const PANEL: usize = LANES;

/// Inner indices that a panel of the right side keeps in the first-level cache.
const INNER_BLOCK: usize = 256;

/// The left side: element (i, k) is `data[i * row + k * column]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl<'a> Left<'a> {
    /// Rows of `row` values.
    pub(crate) const fn rows(data: &'a [f32], row: usize) -> Self {
        Self {
            data,
            row,
            column: 1,
        }
    }

    /// The transpose of a matrix stored as rows of `row` values.
    pub(crate) const fn transposed(data: &'a [f32], row: usize) -> Self {
        Self {
            data,
            row: 1,
            column: row,
        }
    }
}

/// A right side in panels of sixteen columns, padded with zeros.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Packed {
    data: Vec<f32>,
    inner: usize,
    columns: usize,
}

impl Packed {
    /// Packs `inner` x `columns` values stored as rows of `row` values.
    pub(crate) fn pack(&mut self, from: &[f32], row: usize, inner: usize, columns: usize) {
        self.begin(inner, columns);
        for (panel, to) in self
            .data
            .chunks_exact_mut((inner * LANES).max(1))
            .enumerate()
        {
            let start = panel * LANES;
            let width = LANES.min(columns - start);
            for (k, to) in to.chunks_exact_mut(LANES).enumerate() {
                let from = &from[k * row + start..k * row + start + width];
                if width == LANES {
                    to.copy_from_slice(from);
                } else {
                    to[..width].copy_from_slice(from);
                    to[width..].fill(0.0);
                }
            }
        }
    }

    /// Packs the transpose of `columns` x `inner` values stored as rows of `row` values.
    pub(crate) fn pack_transposed(
        &mut self,
        from: &[f32],
        row: usize,
        inner: usize,
        columns: usize,
    ) {
        self.begin(inner, columns);
        for (panel, to) in self
            .data
            .chunks_exact_mut((inner * LANES).max(1))
            .enumerate()
        {
            for lane in 0..LANES {
                let column = panel * LANES + lane;
                if column < columns {
                    let from = &from[column * row..column * row + inner];
                    for (to, from) in to[lane..].iter_mut().step_by(LANES).zip(from) {
                        *to = *from;
                    }
                } else {
                    to[lane..]
                        .iter_mut()
                        .step_by(LANES)
                        .for_each(|to| *to = 0.0);
                }
            }
        }
    }

    fn begin(&mut self, inner: usize, columns: usize) {
        self.inner = inner;
        self.columns = columns.next_multiple_of(LANES);
        self.data.resize(self.inner * self.columns, 0.0);
    }

    /// Columns, padding included.
    pub(crate) const fn columns(&self) -> usize {
        self.columns
    }

    /// The columns `columns`, whose bounds are multiples of sixteen, and the first `inner` rows.
    pub(crate) fn part(&self, inner: usize, columns: std::ops::Range<usize>) -> Right<'_> {
        assert!(inner <= self.inner && columns.end <= self.columns);
        assert!(columns.start.is_multiple_of(LANES) && columns.end.is_multiple_of(LANES));
        Right {
            data: &self.data[columns.start * self.inner..columns.end * self.inner],
            panel: self.inner * LANES,
            inner,
            columns: columns.end - columns.start,
        }
    }

    /// All of it.
    pub(crate) fn whole(&self) -> Right<'_> {
        self.part(self.inner, 0..self.columns)
    }

    /// All columns, from row `first` on, `inner` rows.
    pub(crate) fn rows_from(&self, first: usize, inner: usize) -> Right<'_> {
        assert!(first + inner <= self.inner);
        Right {
            data: &self.data[first * LANES..],
            panel: self.inner * LANES,
            inner,
            columns: self.columns,
        }
    }
}

/// A part of a [`Packed`] matrix.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Right<'a> {
    data: &'a [f32],
    panel: usize,
    inner: usize,
    columns: usize,
}

impl<'a> Right<'a> {
    /// A right side that the caller keeps packed: `inner` rows of the panel of columns `16 p` to
    /// `16 p + 15` begin at `data[p * panel]`.
    pub(crate) const fn panels(
        data: &'a [f32],
        panel: usize,
        inner: usize,
        columns: usize,
    ) -> Self {
        assert!(columns.is_multiple_of(LANES));
        Self {
            data,
            panel,
            inner,
            columns,
        }
    }
}

/// The result: rows of `row` values, of which the right side's columns are written.
#[derive(Debug)]
pub(crate) struct Out<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) row: usize,
}

impl<'a> Out<'a> {
    pub(crate) const fn rows(data: &'a mut [f32], row: usize) -> Self {
        Self { data, row }
    }
}

dispatch! {
    /// `out = left · right` for `rows` rows.
    multiply => multiply_body(out: Out<'_>, rows: usize, left: Left<'_>, right: Right<'_>)
}

dispatch! {
    /// `out += left · right` for `rows` rows.
    multiply_add => multiply_add_body(out: Out<'_>, rows: usize, left: Left<'_>, right: Right<'_>)
}

#[inline(always)]
fn multiply_body<L: Lanes>(out: Out<'_>, rows: usize, left: Left<'_>, right: Right<'_>) {
    product::<L>(out, rows, left, right, false);
}

#[inline(always)]
fn multiply_add_body<L: Lanes>(out: Out<'_>, rows: usize, left: Left<'_>, right: Right<'_>) {
    product::<L>(out, rows, left, right, true);
}

#[inline(always)]
fn product<L: Lanes>(out: Out<'_>, rows: usize, left: Left<'_>, right: Right<'_>, mut adds: bool) {
    let (inner, columns) = (right.inner, right.columns);
    if rows == 0 || columns == 0 {
        return;
    }
    assert!((rows - 1) * out.row + columns <= out.data.len() && columns <= out.row);
    if inner == 0 {
        if !adds {
            for row in out.data.chunks_mut(out.row).take(rows) {
                row[..columns].fill(0.0);
            }
        }
        return;
    }
    assert!((rows - 1) * left.row + (inner - 1) * left.column < left.data.len());
    let panels = columns / LANES;
    assert!((panels - 1) * right.panel + inner * LANES <= right.data.len());
    let mut first = 0;
    while first < inner {
        let count = INNER_BLOCK.min(inner - first);
        for panel in 0..panels {
            // SAFETY: the asserts above hold every row, column and inner index inside the slices.
            unsafe {
                let tile = Tile {
                    left: left.data.as_ptr().add(first * left.column),
                    left_row: left.row,
                    left_column: left.column,
                    right: right.data.as_ptr().add(panel * right.panel + first * LANES),
                    out: out.data.as_mut_ptr().add(panel * LANES),
                    out_row: out.row,
                    count,
                };
                if adds {
                    panel_of_tiles::<L, true>(tile, rows);
                } else {
                    panel_of_tiles::<L, false>(tile, rows);
                }
            }
        }
        adds = true;
        first += count;
    }
}

/// Where a tile reads and writes.
#[derive(Clone, Copy)]
struct Tile {
    left: *const f32,
    left_row: usize,
    left_column: usize,
    right: *const f32,
    out: *mut f32,
    out_row: usize,
    count: usize,
}

impl Tile {
    /// The same columns, `rows` further down.
    ///
    /// # Safety
    /// The rows lie inside the matrices.
    #[inline(always)]
    unsafe fn down(mut self, rows: usize) -> Self {
        // SAFETY: as the caller guarantees.
        unsafe {
            self.left = self.left.add(rows * self.left_row);
            self.out = self.out.add(rows * self.out_row);
        }
        self
    }
}

/// All rows of sixteen columns.
///
/// # Safety
/// `rows` rows, `count` inner indices and sixteen columns from `at` on lie inside the matrices.
#[inline(always)]
unsafe fn panel_of_tiles<L: Lanes, const ADD: bool>(mut at: Tile, rows: usize) {
    let mut left = rows;
    // SAFETY: each step covers rows that remain.
    unsafe {
        if L::HAS_32_REGISTERS {
            while left >= 12 {
                tile::<L, 12, ADD>(at);
                at = at.down(12);
                left -= 12;
            }
        }
        while left >= 6 {
            tile::<L, 6, ADD>(at);
            at = at.down(6);
            left -= 6;
        }
        match left {
            1 => tile::<L, 1, ADD>(at),
            2 => tile::<L, 2, ADD>(at),
            3 => tile::<L, 3, ADD>(at),
            4 => tile::<L, 4, ADD>(at),
            5 => tile::<L, 5, ADD>(at),
            _ => {}
        }
    }
}

/// R rows of sixteen columns, held in registers while the inner index passes.
///
/// # Safety
/// As [`panel_of_tiles`] with R rows.
#[inline(always)]
unsafe fn tile<L: Lanes, const R: usize, const ADD: bool>(at: Tile) {
    // SAFETY: as the caller guarantees.
    unsafe {
        let mut sums = [L::splat(0.0); R];
        if ADD {
            for (r, sum) in sums.iter_mut().enumerate() {
                *sum = L::load(at.out.add(r * at.out_row));
            }
        }
        let (mut left, mut right) = (at.left, at.right);
        if at.left_column == 1 {
            for _ in 0..at.count {
                let values = L::load(right);
                for (r, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.fma(L::splat(*left.add(r * at.left_row)), values);
                }
                left = left.add(1);
                right = right.add(LANES);
            }
        } else if at.left_row == 1 {
            for _ in 0..at.count {
                let values = L::load(right);
                for (r, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.fma(L::splat(*left.add(r)), values);
                }
                left = left.add(at.left_column);
                right = right.add(LANES);
            }
        } else {
            for _ in 0..at.count {
                let values = L::load(right);
                for (r, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.fma(L::splat(*left.add(r * at.left_row)), values);
                }
                left = left.add(at.left_column);
                right = right.add(LANES);
            }
        }
        for (r, sum) in sums.iter().enumerate() {
            sum.store(at.out.add(r * at.out_row));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;
    use crate::seeded::Seeded;

    fn random(count: usize, stream: u64) -> Vec<f32> {
        let mut random = Seeded::new(5, stream);
        (0..count).map(|_| random.normal()).collect()
    }

    #[test]
    fn every_instruction_set_gives_the_bits_of_the_plain_chain() {
        for (rows, inner, columns) in [(1, 1, 16), (5, 3, 20), (13, 64, 48), (31, 300, 33)] {
            let a = random(rows * inner, 1);
            let b = random(inner * columns, 2);
            let width = columns.next_multiple_of(LANES);
            let before = random(rows * width, 3);
            let mut packed = Packed::default();
            packed.pack(&b, columns, inner, columns);
            for isa in Isa::available() {
                let mut out = before.clone();
                let left = Left::rows(&a, inner);
                multiply_add(isa, Out::rows(&mut out, width), rows, left, packed.whole());
                for i in 0..rows {
                    for j in 0..columns {
                        let plain = (0..inner).fold(before[i * width + j], |sum, k| {
                            a[i * inner + k].mul_add(b[k * columns + j], sum)
                        });
                        assert_eq!(out[i * width + j].to_bits(), plain.to_bits(), "{isa:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn transposed_sides_give_the_same_product() {
        let (rows, inner, columns) = (7, 29, 18);
        let (a, b) = (random(rows * inner, 1), random(inner * columns, 2));
        let turned = |m: &[f32], n: usize, width: usize| -> Vec<f32> {
            (0..n * width)
                .map(|at| m[at % n * width + at / n])
                .collect()
        };
        let (at, bt) = (turned(&a, rows, inner), turned(&b, inner, columns));
        let isa = Isa::detect();
        let (mut plain, mut other) = (Packed::default(), Packed::default());
        plain.pack(&b, columns, inner, columns);
        other.pack_transposed(&bt, inner, inner, columns);
        assert_eq!(plain, other);
        let (mut x, mut y) = (vec![0.0; rows * 32], vec![9.0; rows * 32]);
        let out = Out::rows(&mut x, 32);
        multiply(isa, out, rows, Left::rows(&a, inner), plain.whole());
        let out = Out::rows(&mut y, 32);
        multiply(isa, out, rows, Left::transposed(&at, rows), other.whole());
        assert_eq!(x, y);
    }

    #[test]
    #[should_panic]
    fn a_left_side_that_is_too_short_is_refused() {
        let mut packed = Packed::default();
        packed.pack(&[1.0; 64], 16, 4, 16);
        let left = Left::rows(&[1.0; 7], 4);
        multiply(
            Isa::detect(),
            Out::rows(&mut [0.0; 32], 16),
            2,
            left,
            packed.whole(),
        );
    }
}
