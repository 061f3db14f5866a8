//! Tables in large pages of memory: rows that are read in no order then do not each wait for an
//! address to be translated. A hint only, given on Linux.

/// Tables from which large pages are worth asking for, in values: a few of them.
const VALUES_MIN: usize = 1 << 21;

/// That many zeros; a long table in large pages if the system has some.
pub(crate) fn zeros(len: usize) -> Vec<f32> {
    let values = vec![0.0_f32; len];
    #[cfg(target_os = "linux")]
    if len >= VALUES_MIN {
        let start = values.as_ptr() as usize;
        let (first, end) = (start.next_multiple_of(PAGE), start + size_of_val(&*values));
        // SAFETY: the range lies inside the allocation, and the advice changes no content.
        unsafe {
            let range = std::ptr::with_exposed_provenance_mut(first);
            libc::madvise(range, end - first, libc::MADV_HUGEPAGE);
        }
    }
    values
}

/// Bytes of the smallest page that Linux knows on the machines that it is asked on.
#[cfg(target_os = "linux")]
const PAGE: usize = 1 << 16;
