//! The one instruction the fold needs that safe Rust has no name for: a prefetch.
//!
//! A fold step touches about ten cold cache lines; asking for those of the next records while
//! working on this one hides most of the wait. A hint only: results never depend on it.
#![allow(unsafe_code)]

/// Asks for the cache line of `value` to be loaded.
#[inline]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch does not access memory architecturally and SSE is part of x86_64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// Asks for the first `bytes` of a slice.
#[inline]
pub(crate) fn prefetch_slice<T>(slice: &[T], bytes: usize) {
    let step = (64 / size_of::<T>()).max(1);
    for value in slice.iter().take(bytes / size_of::<T>()).step_by(step) {
        prefetch(value);
    }
}
