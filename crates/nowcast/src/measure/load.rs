//! Load, open and closed loop.
//!
//! Open loop: request `k` is due at `start + k / rate` and its latency runs from then, so a server
//! that stalls is charged for everything that had to wait (no coordinated omission). Closed loop:
//! every connection sends as soon as it has its answer, which finds the saturation.

use super::wire::Wire;
use anyhow::Context;
use hdrhistogram::Histogram;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Prefix of the generator's thread names.
pub const THREAD_NAME: &str = "generator";

/// Where to send and how.
#[derive(Debug, Clone, Copy)]
pub struct LoadPlan<'a> {
    /// The server.
    pub address: SocketAddr,
    /// Path to post to.
    pub path: &'a str,
    /// Connections, each a thread.
    pub connections: usize,
    /// Requests a second over all connections; `None` for closed loop.
    pub rate: Option<f64>,
    /// How long, the warm-up included.
    pub duration: Duration,
    /// Part at the start that is sent but not counted.
    pub warm_up: Duration,
}

/// What came of it.
#[derive(Debug)]
pub struct LoadResult {
    /// Latencies in microseconds of the counted requests.
    pub latencies_us: Histogram<u64>,
    /// Counted requests with an answer of 200 to 299.
    pub done: u64,
    /// Counted requests with another answer.
    pub refused: u64,
    /// The first refusal's words.
    pub first_refusal: Option<String>,
    /// Time in which requests were counted.
    pub counted: Duration,
}

impl LoadResult {
    /// Requests a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.done as f64 / self.counted.as_secs_f64()
    }

    /// A latency quantile in milliseconds.
    #[must_use]
    pub fn quantile_ms(&self, share: f64) -> f64 {
        self.latencies_us.value_at_quantile(share) as f64 / 1000.0
    }

    /// Refuses a result in which requests failed: their latency would mean nothing.
    ///
    /// # Errors
    /// When any request was refused or none was answered.
    pub fn checked(self) -> anyhow::Result<Self> {
        if let Some(words) = &self.first_refusal {
            anyhow::bail!(
                "{} requests were refused, the first with: {words}",
                self.refused
            );
        }
        anyhow::ensure!(self.done > 0, "no request was answered");
        Ok(self)
    }
}

/// Runs the plan. `body(k, buffer)` writes the body of request `k` into the empty buffer.
///
/// # Errors
/// When a connection cannot be made or breaks.
pub fn run(
    plan: LoadPlan<'_>,
    body: &(impl Fn(u64, &mut Vec<u8>) + Sync),
) -> anyhow::Result<LoadResult> {
    let wires = (0..plan.connections)
        .map(|_| Wire::connect(plan.address))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let start = Instant::now() + Duration::from_millis(5);
    let next = AtomicU64::new(0);
    let is_broken = AtomicBool::new(false);
    let total = Mutex::new(empty(plan)?);
    let failure: Mutex<Option<anyhow::Error>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for wire in wires {
            let (next, total, failure, is_broken) = (&next, &total, &failure, &is_broken);
            let worker = move || {
                let sent = Sender { plan, start, wire }.run(next, is_broken, body);
                match sent {
                    Ok(part) => total.lock().map(|mut total| merge(&mut total, part)).ok(),
                    Err(error) => {
                        is_broken.store(true, Ordering::Relaxed);
                        failure.lock().map(|mut slot| *slot = Some(error)).ok()
                    }
                };
            };
            if std::thread::Builder::new()
                .name(THREAD_NAME.to_owned())
                .spawn_scoped(scope, worker)
                .is_err()
            {
                is_broken.store(true, Ordering::Relaxed);
            }
        }
    });
    if let Some(error) = failure.into_inner().ok().flatten() {
        return Err(error);
    }
    total
        .into_inner()
        .ok()
        .context("a generator thread panicked")
}

struct Sender<'a> {
    plan: LoadPlan<'a>,
    start: Instant,
    wire: Wire,
}

impl Sender<'_> {
    fn run(
        mut self,
        next: &AtomicU64,
        is_broken: &AtomicBool,
        body: &impl Fn(u64, &mut Vec<u8>),
    ) -> anyhow::Result<LoadResult> {
        let mut result = empty(self.plan)?;
        let mut buffer = Vec::new();
        let end = self.start + self.plan.duration;
        let counted_from = self.start + self.plan.warm_up;
        while !is_broken.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let due = match self.plan.rate {
                Some(rate) => self.start + Duration::from_secs_f64(number as f64 / rate),
                None => Instant::now().max(self.start),
            };
            if due >= end {
                break;
            }
            buffer.clear();
            body(number, &mut buffer);
            let now = Instant::now();
            if due > now {
                std::thread::sleep(due - now);
            }
            let (status, words) = self.wire.post(self.plan.path, &buffer)?;
            let answered = Instant::now();
            if due < counted_from || (self.plan.rate.is_none() && answered > end) {
                continue;
            }
            if (200..300).contains(&status) {
                result.done += 1;
                result
                    .latencies_us
                    .saturating_record((answered - due).as_micros() as u64);
            } else {
                result.refused += 1;
                if result.first_refusal.is_none() {
                    let text: String = String::from_utf8_lossy(words).chars().take(300).collect();
                    result.first_refusal = Some(format!("{status} {text}"));
                }
            }
        }
        Ok(result)
    }
}

fn empty(plan: LoadPlan<'_>) -> anyhow::Result<LoadResult> {
    Ok(LoadResult {
        latencies_us: Histogram::new_with_bounds(1, 60_000_000, 3)
            .context("cannot make a histogram")?,
        done: 0,
        refused: 0,
        first_refusal: None,
        counted: plan.duration.saturating_sub(plan.warm_up),
    })
}

fn merge(total: &mut LoadResult, part: LoadResult) {
    // Equal bounds always add.
    let _ = total.latencies_us.add(&part.latencies_us);
    total.done += part.done;
    total.refused += part.refused;
    total.first_refusal = total.first_refusal.take().or(part.first_refusal);
}
