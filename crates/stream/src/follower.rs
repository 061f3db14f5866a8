//! One thread per partition that somebody else folds: it begins with the item side from the store
//! and keeps it up to date from what the owner publishes.
//!
//! Entries are hints. Whenever they do not join onto what is here (one was lost, forgotten or
//! damaged), or the store turns out to be further for a while, it begins again from the store.

use crate::delta::Delta;
use crate::error::StreamError;
use crate::partition::PartitionView;
use crate::progress::{Phase, Progress};
use crate::stall::Stall;
use metrics::Counter;
use nowcast_features::{FeaturesError, FoldPlan, PartitionReplica};
use nowcast_log::{ChangeFeed, EventLog, LogError};
use nowcast_store::{Catalog, ChainId, StateReader};
use nowcast_types::{Offset, PartitionId, Stream};
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest wait for entries before looking at the stop flag again.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// How often the catalogue is looked at while it is not there.
const CATALOG_STEP: Duration = Duration::from_millis(5);
/// How often the log's end is asked for.
const BOUNDS_EVERY: Duration = Duration::from_millis(500);
/// How often the store is asked whether it is further than the entries said.
const STANDING_EVERY: Duration = Duration::from_secs(3);
/// Bytes of entries read at once.
const READ_BYTES_MAX: usize = 4 << 20;

/// Where a follower learns what the owners of partitions did.
#[derive(Clone)]
pub struct Follow {
    /// What owners publish.
    pub feed: Arc<dyn ChangeFeed>,
    /// Their store.
    pub reader: Arc<dyn StateReader>,
    /// Whether the item side is kept, for those who serve; others need to know positions only.
    pub keeps_rows: bool,
}

/// Follows one partition until told to stop.
pub(crate) struct Follower {
    pub(crate) partition: PartitionId,
    pub(crate) plan: Arc<FoldPlan>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) follow: Follow,
    pub(crate) view: Arc<RwLock<PartitionView>>,
    pub(crate) progress: Arc<Progress>,
    /// How far the fold of the catalogue is.
    pub(crate) catalog_progress: Arc<Progress>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) stall: Stall,
    pub(crate) counts: FollowCounts,
    pub(crate) clock: FollowClock,
}

/// Handles of the counters of a follower.
pub(crate) struct FollowCounts {
    applied: Counter,
    reloads: Counter,
}

impl FollowCounts {
    pub(crate) fn new() -> Self {
        Self {
            applied: metrics::counter!("nowcast_deltas_applied_total"),
            reloads: metrics::counter!("nowcast_replica_reloads_total"),
        }
    }
}

/// When things were last done.
pub(crate) struct FollowClock {
    bounds: Option<Instant>,
    standing: Instant,
    /// The position that the store was found at ahead of ours.
    ahead: Option<Offset>,
}

impl FollowClock {
    pub(crate) fn new() -> Self {
        Self {
            bounds: None,
            standing: Instant::now(),
            ahead: None,
        }
    }
}

/// What an entry asks for.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Applied,
    Reload,
}

impl Follower {
    /// Runs to the end; the outcome is the last phase of the progress.
    pub(crate) fn run(mut self) {
        let phase = match self.follow_on() {
            Ok(()) => Phase::Stopped,
            Err(error) => {
                let partition = self.partition.0;
                tracing::error!(partition, %error, "a partition can no longer be followed");
                Phase::Failed(error.to_string())
            }
        };
        self.progress.set_phase(phase);
    }

    fn follow_on(&mut self) -> Result<(), StreamError> {
        self.wait_for_the_catalog();
        while !self.is_stopping() {
            let outcome = self.begin().and_then(|cursor| self.follow_from(cursor));
            match outcome {
                Ok(()) => {}
                // Rows of another configuration of the fold mean nothing here.
                Err(error @ StreamError::Features(FeaturesError::PlanChanged { .. })) => {
                    return Err(error);
                }
                Err(error) => {
                    let pause = self.stall.begin(&error, &self.progress);
                    self.pause(pause);
                }
            }
        }
        Ok(())
    }

    /// Items get their numbers in the order in which they are met. Whoever folds meets them in the
    /// catalogue first, so whoever follows does too.
    fn wait_for_the_catalog(&self) {
        let is_behind = || {
            let phase = self.catalog_progress.phase();
            matches!(phase, Phase::Restoring | Phase::Replaying)
        };
        while !self.is_stopping() && is_behind() {
            std::thread::sleep(CATALOG_STEP);
        }
    }

    /// Takes the item side from the store; the answer is where in the feed to go on. The feed's
    /// end is asked for first: what is published from there on is on top of what is read here.
    fn begin(&mut self) -> Result<Offset, StreamError> {
        let bounds = self.follow.feed.feed_bounds(self.partition)?;
        if !self.follow.keeps_rows {
            // The last entry says how far the owner is; the store does if there is none, and is not
            // needed for anything else here.
            let standing = self.follow.reader.standing(self.chain());
            if let Ok(Some(position)) = standing.map(|standing| standing.position) {
                self.progress.set_applied(position);
            }
            self.note_live();
            return Ok(bounds.end.saturating_sub(1).max(bounds.earliest));
        }
        let rows = self.follow.reader.item_rows(self.chain())?;
        let position = rows.position.unwrap_or(0);
        let mut replica = PartitionReplica::new(self.plan.clone());
        replica.apply(&[rows.blob])?;
        *self.view.write() = PartitionView::replica(replica, &self.catalog);
        self.progress.set_applied(position);
        self.note_live();
        Ok(bounds.end)
    }

    fn note_live(&mut self) {
        self.stall.end(&self.progress);
        self.progress.set_phase(Phase::Live);
    }

    /// Follows the feed; returns when the store must be read again, or to stop.
    fn follow_from(&mut self, mut cursor: Offset) -> Result<(), StreamError> {
        while !self.is_stopping() {
            self.note_bounds();
            if self.is_store_ahead()? {
                self.counts.reloads.increment(1);
                return Ok(());
            }
            let feed = &self.follow.feed;
            let entries = match feed.entries(self.partition, cursor, READ_BYTES_MAX) {
                Ok(entries) => entries,
                // The feed has forgotten what comes next.
                Err(LogError::OutOfRange { .. }) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            self.stall.end(&self.progress);
            for (offset, entry) in &entries {
                cursor = offset + 1;
                if self.take(entry)? == Step::Reload {
                    self.counts.reloads.increment(1);
                    return Ok(());
                }
            }
            if entries.is_empty() {
                self.follow
                    .feed
                    .wait_entries(self.partition, cursor, WAIT_MAX);
            }
        }
        Ok(())
    }

    fn take(&mut self, entry: &[u8]) -> Result<Step, StreamError> {
        let Some(delta) = Delta::decode(entry) else {
            // Where only positions are kept, the next entry says all that is needed.
            let is_needed = self.follow.keeps_rows;
            return Ok(if is_needed {
                Step::Reload
            } else {
                Step::Nothing
            });
        };
        let position = self.progress.applied();
        // An owner that replays after its store lost commits tells again what is known here.
        if delta.position <= position {
            return Ok(Step::Nothing);
        }
        if self.follow.keeps_rows {
            match delta.rows {
                Some(rows) if delta.follows.unwrap_or(0) <= position => {
                    self.view.write().apply_rows(rows, &self.catalog)?;
                }
                _ => return Ok(Step::Reload),
            }
        }
        self.counts.applied.increment(1);
        self.progress.set_applied(delta.position);
        Ok(Step::Applied)
    }

    /// Whether the store has been further than we are since it was last looked at: then the word
    /// of a commit was lost, and no later one has come to show it.
    fn is_store_ahead(&mut self) -> Result<bool, StreamError> {
        if !self.follow.keeps_rows || self.clock.standing.elapsed() < STANDING_EVERY {
            return Ok(false);
        }
        self.clock.standing = Instant::now();
        let stored = self.follow.reader.standing(self.chain())?.position;
        let seen = std::mem::replace(&mut self.clock.ahead, stored);
        let applied = self.progress.applied();
        Ok(seen.is_some_and(|seen| seen > applied))
    }

    fn note_bounds(&mut self) {
        let is_due = |at: Instant| at.elapsed() >= BOUNDS_EVERY;
        if !self.clock.bounds.is_none_or(is_due) {
            return;
        }
        self.clock.bounds = Some(Instant::now());
        if let Ok(bounds) = self.log.bounds(Stream::Events, self.partition) {
            self.progress.set_bounds(bounds);
        }
    }

    fn chain(&self) -> ChainId {
        ChainId::events(self.partition)
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while !self.is_stopping() && Instant::now() < until {
            std::thread::sleep(WAIT_MAX.min(until.saturating_duration_since(Instant::now())));
        }
    }
}
