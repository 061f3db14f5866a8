//! Values whose first begins a cache line, so that a row of a multiple of sixteen touches no more
//! lines than it must and no load takes two.
//!
//! A large table is in large pages of memory if the system has some: rows that are read in no order
//! then do not each wait for an address to be translated.

use super::lanes::LANES;
use std::ops::{Deref, DerefMut};

/// Sixteen values on one line of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
#[expect(dead_code, reason = "read as part of a slice of values")]
struct Line {
    values: [f32; LANES],
}

/// Values; there are as many as asked for, rounded up to sixteen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table(Vec<Line>);

impl Table {
    /// Zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let lines = len.div_ceil(LANES);
        let mut table = Self(Vec::with_capacity(lines));
        ask_for_large_pages(&table.0);
        table.0.resize(
            lines,
            Line {
                values: [0.0; LANES],
            },
        );
        table
    }

    /// The values of a slice whose length is a multiple of sixteen.
    pub(crate) fn copy_of(values: &[f32]) -> Self {
        let mut table = Self::zeros(values.len());
        table.copy_from_slice(values);
        table
    }

    /// Room for `len` values, whatever they are.
    pub(crate) fn room(&mut self, len: usize) -> &mut [f32] {
        if self.len() < len {
            *self = Self::zeros(len);
        }
        &mut self[..len]
    }
}

impl Deref for Table {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a line is sixteen values without padding.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LANES) }
    }
}

impl DerefMut for Table {
    fn deref_mut(&mut self) -> &mut [f32] {
        let len = self.0.len() * LANES;
        // SAFETY: a line is sixteen values without padding.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), len) }
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

/// Asks for large pages for what a vector has room for; a hint only, and only where there are several.
fn ask_for_large_pages(lines: &Vec<Line>) {
    #[cfg(target_os = "linux")]
    if lines.capacity() * size_of::<Line>() >= LARGE_MIN {
        let start = lines.as_ptr() as usize;
        let first = start.next_multiple_of(PAGE_MAX);
        let bytes = start + lines.capacity() * size_of::<Line>() - first;
        // SAFETY: the range lies inside the allocation, and the advice changes no content.
        unsafe {
            let first = std::ptr::with_exposed_provenance_mut(first);
            libc::madvise(first, bytes, libc::MADV_HUGEPAGE);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = lines;
}

/// Bytes from which large pages, mostly of 2 MiB, are worth asking for.
#[cfg(target_os = "linux")]
const LARGE_MIN: usize = 8 << 20;

/// Advice begins at a page's start, and no processor has larger ordinary ones.
#[cfg(target_os = "linux")]
const PAGE_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_begins_a_line_and_holds_what_was_copied() {
        for len in [16, 48, 3 << 20] {
            let values: Vec<f32> = (0..len).map(|at| at as f32).collect();
            let mut table = Table::copy_of(&values);
            assert_eq!(table.as_ptr() as usize % 64, 0);
            assert_eq!(*table, values);
            assert_eq!(table.room(len + 1).len(), len + 1);
        }
    }
}
