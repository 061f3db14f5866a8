//! What this process has used so far, asked of the operating system.
#![allow(unsafe_code)]

/// Processor time and memory of this process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ProcessUsage {
    /// Seconds in user and system mode, all threads.
    pub(crate) cpu_seconds: f64,
    /// Largest resident size so far, in MiB.
    pub(crate) peak_rss_mb: f64,
}

impl ProcessUsage {
    /// Reads the present values.
    pub(crate) fn now() -> Self {
        // SAFETY: `rusage` is plain numbers, for which zero is valid, and `getrusage` fills it.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
            usage
        };
        let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
        // Linux counts in KiB, macOS in bytes.
        let per_mib = if cfg!(target_os = "macos") {
            1024.0 * 1024.0
        } else {
            1024.0
        };
        Self {
            cpu_seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            peak_rss_mb: usage.ru_maxrss as f64 / per_mib,
        }
    }
}
