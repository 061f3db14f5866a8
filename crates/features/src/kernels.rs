//! The one instruction the fold needs that safe Rust has no name for: a prefetch.
//!
//! A fold step touches about ten cold cache lines; asking for those of the next records while
//! working on this one hides most of the wait. A hint only: results never depend on it.
#![allow(unsafe_code)]

/// Asks for the cache line of `value` to be loaded.
#[inline]
pub(crate) fn prefetch<T>(value: &T) {
    prefetch_address(std::ptr::from_ref(value).cast());
}

#[inline]
fn prefetch_address(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch does not access memory architecturally and SSE is part of x86_64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Asks for all cache lines of a row.
#[inline]
pub(crate) fn prefetch_row<T>(row: &T) {
    let start: *const u8 = std::ptr::from_ref(row).cast();
    for offset in (0..size_of::<T>()).step_by(64) {
        prefetch_address(start.wrapping_add(offset));
    }
    prefetch_address(start.wrapping_add(size_of::<T>().saturating_sub(1)));
}

/// Asks for the first `bytes` of a slice.
#[inline]
pub(crate) fn prefetch_slice<T>(slice: &[T], bytes: usize) {
    let start: *const u8 = slice.as_ptr().cast();
    let len = size_of_val(slice).min(bytes);
    for offset in (0..len).step_by(64) {
        prefetch_address(start.wrapping_add(offset));
    }
}
