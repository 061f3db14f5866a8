//! Waiting for what other processes do.

use std::time::{Duration, Instant};

/// Generous: brokers, databases and workers share a small machine.
const LONG: Duration = Duration::from_secs(180);

/// Waits until it is so; answers with how long that took.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LONG, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
    started.elapsed()
}
