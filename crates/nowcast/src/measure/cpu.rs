//! CPU time of this process's threads, by thread name, from `/proc/self/task`.
//!
//! A thread's name says whose work it does, so a benchmark can count the ingest path and leave
//! out the fold and the generator while all of them run.

use anyhow::Context;
use std::collections::BTreeMap;
use std::time::Duration;

/// CPU time used so far by each thread that is alive, by thread id.
#[derive(Debug, Clone, Default)]
pub struct ThreadTimes {
    threads: BTreeMap<u32, (String, u64)>,
}

impl ThreadTimes {
    /// Reads the clocks of all threads.
    ///
    /// # Errors
    /// Where there is no `/proc` with scheduler statistics.
    pub fn now() -> anyhow::Result<Self> {
        let mut threads = BTreeMap::new();
        for entry in std::fs::read_dir("/proc/self/task").context("cannot read /proc/self/task")? {
            let path = entry.context("cannot read /proc/self/task")?.path();
            let Some(id) = path
                .file_name()
                .and_then(|n| n.to_str())
                .and_then(|n| n.parse().ok())
            else {
                continue;
            };
            // A thread may end between the listing and the reading.
            let (Ok(name), Ok(times)) = (
                std::fs::read_to_string(path.join("comm")),
                std::fs::read_to_string(path.join("schedstat")),
            ) else {
                continue;
            };
            let on_cpu_ns = times.split_whitespace().next().and_then(|n| n.parse().ok());
            threads.insert(id, (name.trim().to_owned(), on_cpu_ns.unwrap_or(0)));
        }
        Ok(Self { threads })
    }

    /// CPU time since `earlier` of the threads whose name `is_counted`.
    #[must_use]
    pub fn since(&self, earlier: &Self, is_counted: impl Fn(&str) -> bool) -> Duration {
        let nanos: u64 = self
            .threads
            .iter()
            .filter(|(_, (name, _))| is_counted(name))
            .map(|(id, (_, now))| {
                let before = earlier.threads.get(id).map_or(0, |(_, before)| *before);
                now.saturating_sub(before)
            })
            .sum();
        Duration::from_nanos(nanos)
    }

    /// CPU time since `earlier` by thread name, for people who wonder.
    #[must_use]
    pub fn by_name(&self, earlier: &Self) -> BTreeMap<String, f64> {
        let mut names: BTreeMap<String, f64> = BTreeMap::new();
        for (name, _) in self.threads.values() {
            if !names.contains_key(name) {
                let used = self.since(earlier, |other| other == name);
                names.insert(name.clone(), used.as_secs_f64());
            }
        }
        names
    }
}

/// CPU time used so far by the calling thread: what a loop costs on one core, however many others
/// want that core.
///
/// # Errors
/// Where there is no `/proc` with scheduler statistics.
pub fn this_thread() -> anyhow::Result<Duration> {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat")
        .context("cannot read /proc/thread-self/schedstat")?;
    let on_cpu_ns = times.split_whitespace().next().and_then(|n| n.parse().ok());
    on_cpu_ns
        .map(Duration::from_nanos)
        .context("/proc/thread-self/schedstat is not what it should be")
}

/// Largest resident size of this process so far, in MiB.
#[must_use]
pub fn peak_rss_mb() -> f64 {
    status_kib("VmHWM:") / 1024.0
}

/// Present resident size of this process, in MiB.
#[must_use]
pub fn rss_mb() -> f64 {
    status_kib("VmRSS:") / 1024.0
}

fn status_kib(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_thread_is_counted_under_its_name_alone() {
        let before = ThreadTimes::now().unwrap();
        let worker = std::thread::Builder::new().name("nc-test-busy".to_owned());
        let (done, wait) = std::sync::mpsc::channel();
        let handle = worker
            .spawn(move || {
                let mut x = 1_u64;
                let until = std::time::Instant::now() + Duration::from_millis(60);
                while std::time::Instant::now() < until {
                    x = std::hint::black_box(x.wrapping_mul(3));
                }
                done.send(()).unwrap();
                std::thread::park();
            })
            .unwrap();
        wait.recv().unwrap();
        let after = ThreadTimes::now().unwrap();
        let used = after.since(&before, |name| name == "nc-test-busy");
        let others = after.since(&before, |name| name == "nc-test-absent");
        handle.thread().unpark();
        handle.join().unwrap();
        assert!(used > Duration::from_millis(1), "{used:?}");
        assert_eq!(others, Duration::ZERO);
        assert!(peak_rss_mb() > 0.0);
    }
}
