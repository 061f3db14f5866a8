//! Work beside requests takes a share of the time, not all of it.
//!
//! A rebuild or a compaction that runs for 100 ms at a stretch occupies a core for as long, and on
//! a small machine every request behind it waits. A [`Pacer`] rests after each piece of work for as
//! long as the share asks, which suits work that takes locks: a thread of low priority that holds a
//! lock keeps everybody waiting for it. Threads that take none step back by [`step_back`].

use std::time::{Duration, Instant};

/// A rest never exceeds this, however long a piece of work took: the machine may have been asleep.
const REST_MAX: Duration = Duration::from_millis(200);

/// How far [`step_back`] goes, in the kernel's niceness: about a tenth of the weight of others.
const NICENESS: i32 = 10;

/// Lets every other thread of the process go first. For threads that hold no lock which a request
/// may wait for. Threads that this one starts step back as well.
pub fn step_back() {
    // Elsewhere than on Linux niceness belongs to the process, not to the thread.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "a background thread keeps the usual priority");
    }
}

/// Rests between pieces of work.
#[derive(Debug)]
pub struct Pacer {
    rest_per_work: f64,
    since: Instant,
}

impl Pacer {
    /// Works `share` of the time, above 0 and at most 1; 1 never rests.
    ///
    /// # Panics
    /// If `share` is outside of that.
    #[must_use]
    pub fn new(share: f64) -> Self {
        assert!(share > 0.0 && share <= 1.0, "a share of the time: {share}");
        Self {
            rest_per_work: 1.0 / share - 1.0,
            since: Instant::now(),
        }
    }

    /// Rests for what was worked since the last call. Call it between pieces of about a
    /// millisecond, holding no lock.
    pub fn rest(&mut self) {
        let rest = self.since.elapsed().mul_f64(self.rest_per_work);
        if !rest.is_zero() {
            std::thread::sleep(rest.min(REST_MAX));
        }
        self.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_time_rests_three_times_as_long_as_it_worked() {
        let mut pacer = Pacer::new(0.25);
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(4) {
            std::hint::spin_loop();
        }
        pacer.rest();
        assert!(started.elapsed() >= Duration::from_millis(16));
    }

    #[test]
    fn all_of_the_time_never_rests() {
        let mut pacer = Pacer::new(1.0);
        pacer.since = Instant::now() - Duration::from_secs(3600);
        let started = Instant::now();
        pacer.rest();
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}
