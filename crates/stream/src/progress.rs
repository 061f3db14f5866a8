//! How far each partition has come, for everyone who waits for it or reports it.

use nowcast_log::Bounds;
use nowcast_types::Offset;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use tokio::sync::watch;

/// What a partition is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Reading its checkpoint; it knows nobody yet.
    Restoring,
    /// Folding what the log had when it started; what it knows is old.
    Replaying,
    /// Folding what comes.
    Live,
    /// It stopped for good, and why; it still answers with what it knew.
    Failed(String),
    /// It was told to stop.
    Stopped,
    /// Another process folds it.
    Elsewhere,
}

/// Whether answers reflect what has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Some partition is still reading its checkpoint.
    Restoring,
    /// All checkpoints are read; the log is being caught up with.
    Replaying {
        /// Records to go, over all partitions.
        records: u64,
    },
    /// Everything is live.
    Live,
    /// Everything was live, but the log is away from some partition: what it said. Answers go on
    /// from the last state.
    Stalled(String),
    /// At least one partition has failed: the first one's reason.
    Failed(String),
}

/// One partition's progress.
#[derive(Debug)]
pub(crate) struct Progress {
    applied: watch::Sender<Offset>,
    phase: Mutex<Phase>,
    durable: AtomicU64,
    /// What the log held when it was last asked.
    bounds: Mutex<Bounds>,
    /// Why it pauses, if it does.
    stall: Mutex<Option<String>>,
    /// Whether it failed because another owner has taken over.
    is_fenced: AtomicBool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            applied: watch::Sender::new(0),
            phase: Mutex::new(Phase::Restoring),
            durable: AtomicU64::new(0),
            bounds: Mutex::new(Bounds {
                earliest: 0,
                end: 0,
            }),
            stall: Mutex::default(),
            is_fenced: AtomicBool::new(false),
        }
    }

    /// Forgets how an earlier owner ended.
    pub(crate) fn begin(&self) {
        self.is_fenced.store(false, Ordering::Release);
        self.set_stall(None);
        self.set_phase(Phase::Restoring);
    }

    /// Whether it failed because another owner has taken over.
    pub(crate) fn is_fenced(&self) -> bool {
        self.is_fenced.load(Ordering::Acquire)
    }

    pub(crate) fn set_fenced(&self) {
        self.is_fenced.store(true, Ordering::Release);
    }

    /// The next offset to be folded.
    pub(crate) fn applied(&self) -> Offset {
        *self.applied.borrow()
    }

    pub(crate) fn set_applied(&self, position: Offset) {
        self.applied.send_replace(position);
    }

    /// The position of the newest durable checkpoint.
    pub(crate) fn durable(&self) -> Offset {
        self.durable.load(Ordering::Acquire)
    }

    pub(crate) fn set_durable(&self, position: Offset) {
        self.durable.store(position, Ordering::Release);
    }

    /// What the log held when it was last asked.
    pub(crate) fn bounds(&self) -> Bounds {
        *self.bounds.lock()
    }

    pub(crate) fn set_bounds(&self, bounds: Bounds) {
        *self.bounds.lock() = bounds;
    }

    /// Why the partition pauses; `None` if it does not.
    pub(crate) fn stall(&self) -> Option<String> {
        self.stall.lock().clone()
    }

    pub(crate) fn set_stall(&self, stall: Option<String>) {
        *self.stall.lock() = stall;
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.lock().clone()
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        *self.phase.lock() = phase;
        // Whoever waits for a partition that has ended must look up.
        self.applied.send_modify(|_| {});
    }

    /// Waits until the record at `offset` has been folded; false at the deadline, or at once when
    /// the partition has ended.
    pub(crate) async fn wait_applied(&self, offset: Offset, deadline: Instant) -> bool {
        let mut applied = self.applied.subscribe();
        let settled = applied.wait_for(|position| {
            let ended = matches!(*self.phase.lock(), Phase::Failed(_) | Phase::Stopped);
            *position > offset || ended
        });
        match tokio::time::timeout_at(deadline.into(), settled).await {
            Ok(Ok(position)) => *position > offset,
            Ok(Err(_)) | Err(_) => false,
        }
    }
}
