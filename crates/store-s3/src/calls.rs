//! One call to the store: tries, time limit, budget.
//!
//! Callers are threads that may wait. The talking is done by a thread of our own, so that it does
//! not matter whether the caller's thread belongs to another runtime.

use crate::config::S3Config;
use crate::failure::Failure;
use metrics::Counter;
use nowcast_store::StoreError;
use nowcast_types::RetryBudget;
use parking_lot::Mutex;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// Mean pause before the first retry; it doubles with each further one.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest mean pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Makes calls.
pub(crate) struct Calls {
    /// Taken only by drop.
    runtime: Option<Runtime>,
    budget: Mutex<RetryBudget>,
    /// How the store is called in messages.
    place: String,
    attempt_timeout: Duration,
    timeout: Duration,
    made: Counter,
    retried: Counter,
    failed: Counter,
}

/// How a call ended.
pub(crate) struct Outcome<T> {
    pub(crate) result: Result<T, Failure>,
    /// Whether an earlier try of the same call may have been done without our knowing.
    pub(crate) is_repeated: bool,
}

impl Calls {
    pub(crate) fn new(place: String, config: &S3Config) -> Result<Self, StoreError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("artifacts")
            .enable_all()
            .build()
            .map_err(|error| StoreError::Unavailable {
                what: place.clone(),
                detail: format!("no thread to talk to it: {error}"),
            })?;
        Ok(Self {
            runtime: Some(runtime),
            budget: Mutex::new(RetryBudget::new(config.retry_budget)),
            place,
            attempt_timeout: config.attempt_timeout.duration(),
            timeout: config.timeout.duration(),
            made: metrics::counter!("nowcast_artifact_store_calls_total"),
            retried: metrics::counter!("nowcast_artifact_store_retries_total"),
            failed: metrics::counter!("nowcast_artifact_store_failures_total"),
        })
    }

    /// How the store is called in messages.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Makes a call until it succeeds, fails for good, or time or budget are used up.
    pub(crate) fn run<T, F>(&self, call: impl Fn() -> F) -> Outcome<T>
    where
        T: Send + 'static,
        F: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        let started = Instant::now();
        self.made.increment(1);
        self.budget.lock().earn();
        let mut pause = PAUSE;
        let mut tries = 0_u32;
        loop {
            tries += 1;
            let is_repeated = tries > 1;
            let left = self.timeout.saturating_sub(started.elapsed());
            let result = self.attempt(left.min(self.attempt_timeout), call());
            let reason = match result {
                Err(Failure::MayPass(reason)) => reason,
                result => {
                    if matches!(result, Err(Failure::Final(_))) {
                        self.failed.increment(1);
                    }
                    return Outcome {
                        result,
                        is_repeated,
                    };
                }
            };
            let jittered = pause.mul_f64(rand::random_range(0.5..1.5));
            let has_time = started.elapsed() + jittered < self.timeout;
            if !has_time || !self.budget.lock().spend() {
                self.failed.increment(1);
                let seconds = started.elapsed().as_secs_f64();
                let what = if has_time {
                    "the budget of retries"
                } else {
                    "the time"
                };
                let reason = format!("{reason} ({what} is used up: {tries} tries, {seconds:.1} s)");
                return Outcome {
                    result: Err(Failure::MayPass(reason)),
                    is_repeated,
                };
            }
            tracing::debug!(place = %self.place, tries, reason, "the object store is asked again");
            self.retried.increment(1);
            std::thread::sleep(jittered);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn attempt<T, F>(&self, limit: Duration, call: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::sync_channel(1);
        let runtime = self.runtime.as_ref().expect("taken only by drop");
        runtime.spawn(async move {
            // Nobody waits any longer only if the waiting thread is gone.
            let _ = sender.send(tokio::time::timeout(limit, call).await);
        });
        match receiver.recv() {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => Err(Failure::of(&self.place, &error)),
            Ok(Err(_)) => Err(Failure::MayPass(format!(
                "no answer within {} ms",
                limit.as_millis()
            ))),
            Err(_) => Err(Failure::Final(StoreError::Unavailable {
                what: self.place.clone(),
                detail: "the thread that talks to it has panicked".to_owned(),
            })),
        }
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Without waiting: the last holder may be a task of another runtime.
            runtime.shutdown_background();
        }
    }
}
