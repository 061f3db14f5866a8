//! The one instruction that safe Rust has no name for: a prefetch. A hint only: no result ever
//! depends on it.

/// Asks for the cache line of `table[at]` to be loaded; nothing for a place outside.
#[inline]
pub(crate) fn prefetch<T>(table: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(value) = table.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch does not access memory architecturally and SSE is part of x86_64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (table, at);
}

/// Values in a cache line.
const LINE: usize = 16;

/// Rows of a table that will be read next. A kernel that computes asks for some of them at each
/// of its steps, into the second-level cache, so that memory and arithmetic take no turns.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ahead<'a> {
    table: &'a [f32],
    side: usize,
    rows: &'a [u32],
    per_step: usize,
}

impl<'a> Ahead<'a> {
    /// `rows` of a table whose rows are `side` long.
    pub(crate) const fn new(table: &'a [f32], side: usize, rows: &'a [u32]) -> Self {
        Self {
            table,
            side,
            rows,
            per_step: 0,
        }
    }

    /// Spreads the rows over that many steps.
    #[inline]
    pub(super) const fn over(mut self, steps: usize) -> Self {
        self.per_step = self.rows.len().div_ceil(steps);
        self
    }

    /// Asks for the rows of one step.
    #[inline]
    pub(super) fn step(&mut self) {
        let (now, later) = self.rows.split_at(self.per_step.min(self.rows.len()));
        self.rows = later;
        for row in now {
            for part in (0..self.side).step_by(LINE) {
                prefetch_second(self.table, *row as usize * self.side + part);
            }
        }
    }
}

/// As [`prefetch`], into the second-level cache only.
#[inline]
fn prefetch_second(table: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(value) = table.get(at) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: as in `prefetch`.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(value).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (table, at);
}
