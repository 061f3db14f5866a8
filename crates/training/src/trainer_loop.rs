//! The background thread that trains whenever the log has grown enough.
//!
//! When to do what is a pure decision ([`due`]); the thread only waits, asks and runs. Stopping
//! takes effect between two steps of a training.

use crate::config::TrainingConfig;
use crate::error::TrainingError;
use crate::run::{Effort, TrainerDeps, TrainingReport, train_once};
use nowcast_disk::pace::step_back;
use nowcast_models::{Model, Progress};
use nowcast_types::{PartitionId, Stream};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the loop has done so far.
#[derive(Debug, Clone, Default)]
pub struct TrainingStatus {
    /// Trainings that ran to the end, refreshes included.
    pub runs: u64,
    /// Refreshes among them.
    pub refreshes: u64,
    /// Trainings that failed, too little data aside.
    pub failures: u64,
    /// Whether one is running.
    pub is_running: bool,
    /// What the last one did.
    pub last_report: Option<TrainingReport>,
    /// Why the last attempt did not run to the end.
    pub last_error: Option<String>,
}

/// A running background trainer; stops when dropped.
pub struct TrainerLoop {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    is_stopping: AtomicBool,
    /// Set to train at the next look, whatever the growth.
    is_requested: Mutex<bool>,
    woken: Condvar,
    status: Mutex<TrainingStatus>,
}

impl Progress for Shared {
    fn report(&self, _done: u64, _total: u64, _what: &str) {}

    fn is_cancelled(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }
}

/// The last training or refresh that ran: when it began, and how many records the log then had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastRun {
    /// Time since it began.
    pub ago: Duration,
    /// Records in the log when it began.
    pub records: u64,
    /// Records in the log when the last full training began.
    pub records_trained: u64,
}

/// What to do now, with `records` in the log: nothing within the interval, and then as much as the
/// log's growth asks for by `config`.
#[must_use]
pub fn due(config: &TrainingConfig, last: Option<LastRun>, records: u64) -> Option<Effort> {
    let Some(last) = last else {
        return (records > 0).then_some(Effort::Full);
    };
    if last.ago < config.interval.duration() {
        return None;
    }
    let has_grown = |since: u64, share: f64| {
        let grown = records.saturating_sub(since) as f64;
        grown > 0.0 && grown >= share * since as f64
    };
    if has_grown(last.records_trained, config.growth_min) {
        return Some(Effort::Full);
    }
    let refreshes = config.refresh_growth_min > 0.0;
    (refreshes && has_grown(last.records, config.refresh_growth_min)).then_some(Effort::Refresh)
}

/// Longest time between two looks at the log.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(5);

impl TrainerLoop {
    /// Starts the thread. `on_published` gets each new live model with its version, on that
    /// thread.
    ///
    /// # Errors
    /// A config that cannot be used; no thread to be had.
    pub fn start(
        deps: TrainerDeps,
        config: TrainingConfig,
        on_published: impl Fn(Arc<dyn Model>, u64) + Send + 'static,
    ) -> Result<Self, TrainingError> {
        config.check()?;
        let shared = Arc::new(Shared {
            is_stopping: AtomicBool::new(false),
            is_requested: Mutex::new(false),
            woken: Condvar::new(),
            status: Mutex::new(TrainingStatus::default()),
        });
        let for_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("trainer".to_owned())
            .spawn(move || run_loop(&deps, &config, &for_thread, &on_published))
            .map_err(|error| TrainingError::Config(format!("no thread to train on: {error}")))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// What it has done so far.
    #[must_use]
    pub fn status(&self) -> TrainingStatus {
        self.shared.status.lock().clone()
    }

    /// Asks for a training soon, whatever the growth.
    pub fn request(&self) {
        *self.shared.is_requested.lock() = true;
        self.shared.woken.notify_all();
    }

    /// Asks the thread to end, and waits until it has.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        {
            // Under the lock, so that the thread cannot miss it between asking and waiting.
            let _requested = self.shared.is_requested.lock();
            self.shared.is_stopping.store(true, Ordering::Relaxed);
            self.shared.woken.notify_all();
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the trainer's thread panicked");
        }
    }
}

impl Drop for TrainerLoop {
    fn drop(&mut self) {
        self.end();
    }
}

fn run_loop(
    deps: &TrainerDeps,
    config: &TrainingConfig,
    shared: &Shared,
    on_published: &dyn Fn(Arc<dyn Model>, u64),
) {
    // Requests and the fold come first.
    step_back();
    let look_every = config
        .interval
        .duration()
        .clamp(Duration::from_millis(50), LOOK_EVERY_MAX);
    let mut last: Option<(Instant, LastRun)> = None;
    while !shared.is_cancelled() {
        let records = records_in(deps);
        let last_run = last.map(|(began, run)| LastRun {
            ago: began.elapsed(),
            ..run
        });
        let is_requested = std::mem::take(&mut *shared.is_requested.lock());
        let effort = if is_requested {
            Some(Effort::Full)
        } else {
            due(config, last_run, records)
        };
        if let Some(effort) = effort {
            let records_trained = match (effort, last_run) {
                (Effort::Refresh, Some(last)) => last.records_trained,
                _ => records,
            };
            let run = LastRun {
                ago: Duration::ZERO,
                records,
                records_trained,
            };
            last = Some((Instant::now(), run));
            shared.status.lock().is_running = true;
            let outcome = train_once(deps, config, effort, shared, on_published);
            note(&mut shared.status.lock(), outcome);
        }
        let mut is_requested = shared.is_requested.lock();
        if !shared.is_cancelled() && !*is_requested {
            shared.woken.wait_for(&mut is_requested, look_every);
        }
    }
}

fn records_in(deps: &TrainerDeps) -> u64 {
    (0..deps.log.partitions(Stream::Events))
        .filter_map(|p| deps.log.bounds(Stream::Events, PartitionId(p)).ok())
        .map(|bounds| bounds.end)
        .sum()
}

fn note(status: &mut TrainingStatus, outcome: Result<TrainingReport, TrainingError>) {
    status.is_running = false;
    match outcome {
        Ok(report) => {
            for model in &report.models {
                let found = model.validation.as_ref();
                let reason = found.map(|v| v.reason.as_str());
                let index_recall = found.and_then(|v| v.index_recall).map(f64::from);
                tracing::info!(
                    model = model.model,
                    version = model.version,
                    seconds = model.train_seconds,
                    validation = reason,
                    index_recall,
                    error = model.error.as_deref(),
                    effort = ?report.effort,
                    "trained"
                );
            }
            status.runs += 1;
            status.refreshes += u64::from(report.effort == Effort::Refresh);
            status.last_error = None;
            status.last_report = Some(report);
        }
        Err(error) => {
            if !matches!(error, TrainingError::TooFew { .. }) {
                status.failures += 1;
                tracing::warn!(%error, "training failed");
            }
            status.last_error = Some(error.to_string());
        }
    }
}
