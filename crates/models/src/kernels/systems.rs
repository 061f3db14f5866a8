//! Sixteen positive definite systems at once, one in each lane: their factors and solutions.
//!
//! A lane takes no notice of its neighbours, so the order and the company of systems change no bit
//! of a result.

use super::lanes::{LANES, Lanes};
use super::prefetch::Ahead;
use super::table::Table;

/// Systems that are solved at once.
pub(crate) const SYSTEMS: usize = LANES;

/// Where the matrices come from.
pub(super) trait Elements: Copy {
    /// The elements (i, j), (i, j + 1), (i + 1, j), (i + 1, j + 1) of each matrix.
    ///
    /// # Safety
    /// `i` and `j` are even rows of the matrices.
    unsafe fn tile<L: Lanes>(self, i: usize, j: usize) -> [[L; 2]; 2];
}

/// The upper triangle of factors `U` with `Uᵀ U` a matrix plus a multiple of the identity, row after
/// row, an element of all lanes side by side.
#[derive(Clone, Copy)]
pub(super) struct Factor {
    values: *mut f32,
    /// 1 over the diagonal.
    inverse: *mut f32,
    /// An even number.
    count: usize,
    stride: usize,
}

impl Factor {
    /// Room for `count` rows, an even number. An odd row more keeps the columns of the factor out of
    /// each other's way in the cache.
    pub(super) fn new(count: usize, values: &mut Table, inverse: &mut Table) -> Self {
        assert!(count.is_multiple_of(2));
        let stride = (count + 1) * LANES;
        Self {
            values: values.room(count * stride).as_mut_ptr(),
            inverse: inverse.room(count * LANES).as_mut_ptr(),
            count,
            stride,
        }
    }

    /// The place of an element.
    ///
    /// # Safety
    /// `i` and `j` are rows of the factor.
    #[inline(always)]
    pub(super) unsafe fn at(&self, i: usize, j: usize) -> *mut f32 {
        // SAFETY: callers stay below the number of rows.
        unsafe { self.values.add(i * self.stride + j * LANES) }
    }

    /// Factors the matrices with `ridge` added to the diagonal.
    ///
    /// # Safety
    /// The scratch memory that the factor was made of lives, and `elements` has as many rows.
    #[inline(always)]
    pub(super) unsafe fn fill<L: Lanes>(
        &self,
        elements: impl Elements,
        ridge: L,
        ahead: Ahead<'_>,
    ) {
        let pairs = self.count / 2;
        let mut ahead = ahead.over(pairs * (pairs + 1) / 2);
        for i in (0..self.count).step_by(2) {
            // SAFETY: the rows before i are done, and those of a tile are rows.
            unsafe { self.diagonal::<L>(elements, ridge, i) };
            ahead.step();
            for j in (i + 2..self.count).step_by(2) {
                // SAFETY: as above, and the diagonal of i is done.
                unsafe { self.beside::<L>(elements, i, j) };
                ahead.step();
            }
        }
    }

    /// A tile of the matrix, less what the rows before i explain of it.
    ///
    /// # Safety
    /// As for [`Self::fill`]; `i + 1` and `j + 1` are rows, and those before `i` are done.
    #[inline(always)]
    unsafe fn rest<L: Lanes>(&self, elements: impl Elements, i: usize, j: usize) -> [[L; 2]; 2] {
        // SAFETY: i + 1 and j + 1 are rows.
        unsafe {
            let mut sums = elements.tile::<L>(i, j);
            for k in 0..i {
                let right = [L::load(self.at(k, j)), L::load(self.at(k, j + 1))];
                for (r, sums) in sums.iter_mut().enumerate() {
                    let left = L::load(self.at(k, i + r));
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = sum.fnma(left, right);
                    }
                }
            }
            sums
        }
    }

    /// Finishes the tile on the diagonal from row `i` on.
    ///
    /// # Safety
    /// As for [`Self::rest`].
    #[inline(always)]
    unsafe fn diagonal<L: Lanes>(&self, elements: impl Elements, ridge: L, i: usize) {
        // SAFETY: i + 1 is a row.
        unsafe {
            let one = L::splat(1.0);
            let [[first, beside], [_, last]] = self.rest::<L>(elements, i, i);
            let inverse = one.div(first.add(ridge).sqrt());
            let beside = beside.mul(inverse);
            beside.store(self.at(i, i + 1));
            inverse.store(self.inverse.add(i * LANES));
            let last = last.add(ridge).fnma(beside, beside);
            one.div(last.sqrt())
                .store(self.inverse.add((i + 1) * LANES));
        }
    }

    /// Finishes the tile of the rows from `i` and the columns from `j` on.
    ///
    /// # Safety
    /// As for [`Self::rest`], and the diagonal of `i` is done.
    #[inline(always)]
    unsafe fn beside<L: Lanes>(&self, elements: impl Elements, i: usize, j: usize) {
        // SAFETY: i + 1 and j + 1 are rows, and the diagonal of i is done.
        unsafe {
            let [first, second] = self.rest::<L>(elements, i, j);
            let within = L::load(self.at(i, i + 1));
            let inverse = L::load(self.inverse.add(i * LANES));
            let next = L::load(self.inverse.add((i + 1) * LANES));
            for (c, (first, second)) in first.into_iter().zip(second).enumerate() {
                let done = first.mul(inverse);
                done.store(self.at(i, j + c));
                let second = second.fnma(within, done).mul(next);
                second.store(self.at(i + 1, j + c));
            }
        }
    }

    /// Solves `Uᵀ U x = x` in place.
    ///
    /// # Safety
    /// The factor is filled and has a row for each of `x`.
    #[inline(always)]
    pub(super) unsafe fn substitute<L: Lanes>(&self, x: &mut [f32]) {
        let count = x.len() / LANES;
        let x = x.as_mut_ptr();
        // SAFETY: the factor has a row for each of `x`.
        unsafe {
            for i in 0..count {
                let mut sum = L::load(x.add(i * LANES));
                for k in 0..i {
                    sum = sum.fnma(L::load(self.at(k, i)), L::load(x.add(k * LANES)));
                }
                let inverse = L::load(self.inverse.add(i * LANES));
                sum.mul(inverse).store(x.add(i * LANES));
            }
            for i in (0..count).rev() {
                let mut sum = L::load(x.add(i * LANES));
                for j in i + 1..count {
                    sum = sum.fnma(L::load(self.at(i, j)), L::load(x.add(j * LANES)));
                }
                let inverse = L::load(self.inverse.add(i * LANES));
                sum.mul(inverse).store(x.add(i * LANES));
            }
        }
    }
}

/// Turns sixteen vectors, one after the other, so that a value of each lies side by side.
///
/// # Safety
/// Both hold sixteen vectors of `side` values, a multiple of 16, the second ones `stride` apart.
#[inline(always)]
pub(super) unsafe fn to_lanes<L: Lanes>(
    from: *const f32,
    stride: usize,
    side: usize,
    to: *mut f32,
) {
    for d in (0..side).step_by(LANES) {
        // SAFETY: as the caller guarantees.
        unsafe {
            let mut places = [from; LANES];
            for (lane, place) in places.iter_mut().enumerate() {
                *place = from.add(lane * stride + d);
            }
            L::transpose(&places, to.add(d * LANES));
        }
    }
}

/// Turns back what [`to_lanes`] turned, for vectors of `side` values one after the other.
///
/// # Safety
/// As [`to_lanes`].
#[inline(always)]
pub(super) unsafe fn from_lanes<L: Lanes>(from: *const f32, side: usize, to: *mut f32) {
    let mut turned = [0.0_f32; LANES * LANES];
    for d in (0..side).step_by(LANES) {
        // SAFETY: as the caller guarantees.
        unsafe {
            let mut places = [from; LANES];
            for (value, place) in places.iter_mut().enumerate() {
                *place = from.add((d + value) * LANES);
            }
            L::transpose(&places, turned.as_mut_ptr());
            for lane in 0..LANES {
                L::load(turned.as_ptr().add(lane * LANES)).store(to.add(lane * side + d));
            }
        }
    }
}
