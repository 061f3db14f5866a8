//! The processor: log to fold to checkpoint, and the live state that serving reads.
//!
//! One thread per partition of the events and one for the catalogue are the only writers. Starting
//! returns at once; restoring and replaying happen in those threads, while reads already answer
//! with what is known so far.

use crate::catalog_fold::CatalogFold;
use crate::checkpointer::Checkpointer;
use crate::config::StreamConfig;
use crate::duty::{Borrowed, Duty};
use crate::epochs::Epochs;
use crate::error::StreamError;
use crate::fold::Fold;
use crate::follower::{Follow, FollowClock, FollowCounts, Follower};
use crate::outbox::Outbox;
use crate::owning::Owned;
use crate::partition::{EventsFold, OutcomeCounts, PartitionView};
use crate::progress::{Phase, Progress, Readiness};
use crate::stall::Stall;
use crate::worker::{Surroundings, Worker};
use metrics::Counter;
use nowcast_features::{Counters, FoldPlan, PartitionState, UserRef};
use nowcast_log::{Bounds, EventLog};
use nowcast_store::{Catalog, ChainId, StateStore, StoreError};
use nowcast_types::{Clock, Offset, PartitionId, Stream, Timestamp, UserKey};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a user whose newest items are not known yet waits for the word of the commit that
/// brought both.
const ROWS_PATIENCE: Duration = Duration::from_millis(25);
const ROWS_STEP: Duration = Duration::from_millis(1);

/// What a processor works with. One checkpoint store and catalogue belong to one processor.
#[derive(Clone)]
pub struct ProcessorDeps {
    /// Where records come from and late copies go.
    pub log: Arc<dyn EventLog>,
    /// Where state becomes durable.
    pub checkpoints: Arc<dyn StateStore>,
    /// Which partitions are folded here, and as which owner of them.
    pub duty: Duty,
    /// How events are folded.
    pub plan: Arc<FoldPlan>,
    /// The item table; empty at first, or holding only implicit items.
    pub catalog: Arc<Catalog>,
    /// For the age of events in metrics; nothing that is computed depends on it.
    pub clock: Arc<dyn Clock>,
}

/// A user as the store of another process has them; `None` within if nothing is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredUser(Option<Vec<u8>>);

/// Folds all partitions of a log and keeps their state. Share it by `Arc`.
pub struct Processor {
    log: Arc<dyn EventLog>,
    plan: Arc<FoldPlan>,
    catalog: Arc<Catalog>,
    pub(crate) config: StreamConfig,
    views: Vec<Arc<RwLock<PartitionView>>>,
    progress: Vec<Arc<Progress>>,
    catalog_progress: Arc<Progress>,
    duty: Duty,
    pub(crate) around: Surroundings,
    pub(crate) owned: Mutex<BTreeMap<PartitionId, Owned>>,
    users_unread: Counter,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Processor {
    /// Starts the threads and returns at once; [`Self::readiness`] tells when state is there.
    ///
    /// # Errors
    /// [`StreamError::Config`]; no threads to be had. What goes wrong later is a partition's
    /// [`Phase::Failed`].
    pub fn start(deps: ProcessorDeps, config: StreamConfig) -> Result<Self, StreamError> {
        config.check().map_err(StreamError::Config)?;
        let checkpointer = Arc::new(Checkpointer::start(
            deps.checkpoints.clone(),
            deps.log.clone(),
            config.compaction_age_max.duration(),
        )?);
        let around = Surroundings {
            log: deps.log.clone(),
            store: deps.checkpoints,
            epochs: Epochs::default(),
            clock: deps.clock,
            checkpointer,
            stop: Arc::new(AtomicBool::new(false)),
            config: config.clone(),
            is_committing: true,
        };
        let partitions = deps.log.partitions(Stream::Events);
        let new_view = |_| {
            let state = PartitionState::new(deps.plan.clone());
            Arc::new(RwLock::new(PartitionView::new(state, &deps.catalog)))
        };
        let processor = Self {
            views: (0..partitions).map(new_view).collect(),
            progress: (0..partitions).map(|_| Arc::new(Progress::new())).collect(),
            catalog_progress: Arc::new(Progress::new()),
            log: deps.log,
            plan: deps.plan,
            catalog: deps.catalog,
            config,
            duty: deps.duty,
            around,
            owned: Mutex::default(),
            users_unread: metrics::counter!("nowcast_users_unread_total"),
            threads: Mutex::default(),
        };
        processor.start_threads()?;
        Ok(processor)
    }

    fn start_threads(&self) -> Result<(), StreamError> {
        self.start_catalog()?;
        for partition in (0..self.partitions()).map(PartitionId) {
            let progress = &self.progress[usize::from(partition.0)];
            match &self.duty {
                Duty::All(epochs) => {
                    let around = Surroundings {
                        epochs: epochs.clone(),
                        ..self.around.clone()
                    };
                    let chain = ChainId::events(partition);
                    let fold = self.events_fold(partition);
                    let thread = start_worker(chain, fold, around, progress)?;
                    self.threads.lock().push(thread);
                }
                Duty::Given { .. } => progress.set_phase(Phase::Elsewhere),
                Duty::Follow(follow) => {
                    let follower = self.follower(partition, follow);
                    let thread = std::thread::Builder::new()
                        .name(format!("follow-{}", partition.0))
                        .spawn(move || follower.run())?;
                    self.threads.lock().push(thread);
                }
            }
        }
        Ok(())
    }

    /// Every process has the whole catalogue; only the one that owns it commits it.
    fn start_catalog(&self) -> Result<(), StreamError> {
        let around = match (&self.duty, self.duty.reader()) {
            (Duty::All(epochs), _) => Surroundings {
                epochs: epochs.clone(),
                ..self.around.clone()
            },
            (_, Some(reader)) => Surroundings {
                store: Arc::new(Borrowed {
                    reader: reader.clone(),
                    log: self.log.clone(),
                }),
                is_committing: false,
                ..self.around.clone()
            },
            (_, None) => self.around.clone(),
        };
        let fold = CatalogFold::new(self.catalog.clone());
        let thread = start_worker(ChainId::CATALOG, fold, around, &self.catalog_progress)?;
        self.threads.lock().push(thread);
        Ok(())
    }

    pub(crate) fn events_fold(&self, partition: PartitionId) -> EventsFold {
        EventsFold {
            partition,
            plan: self.plan.clone(),
            catalog: self.catalog.clone(),
            log: self.log.clone(),
            view: self.views[usize::from(partition.0)].clone(),
            appends_dedup: self.around.store.appends_dedup(),
            late_from: 0,
            late: Vec::new(),
            late_lost: metrics::counter!("nowcast_late_copies_lost_total"),
            outbox: Outbox::new(self.log.clone()),
            outcomes: Vec::new(),
            outcome_counts: OutcomeCounts::new(partition),
        }
    }

    fn follower(&self, partition: PartitionId, follow: &Follow) -> Follower {
        let at = usize::from(partition.0);
        Follower {
            partition,
            plan: self.plan.clone(),
            catalog: self.catalog.clone(),
            log: self.log.clone(),
            follow: follow.clone(),
            view: self.views[at].clone(),
            progress: self.progress[at].clone(),
            catalog_progress: self.catalog_progress.clone(),
            stop: self.around.stop.clone(),
            stall: Stall::new(ChainId::events(partition)),
            counts: FollowCounts::new(),
            clock: FollowClock::new(),
        }
    }

    /// Empties the view of a partition that is folded here no more.
    pub(crate) fn forget(&self, partition: PartitionId) {
        let state = PartitionState::new(self.plan.clone());
        let view = PartitionView::new(state, &self.catalog);
        *self.views[usize::from(partition.0)].write() = view;
    }

    pub(crate) fn progress_of(&self, partition: PartitionId) -> Option<&Arc<Progress>> {
        self.progress.get(usize::from(partition.0))
    }

    /// Stops folding, writes a last checkpoint of every partition, and returns when both are done.
    /// Reads go on answering with the last state. Calling it again does nothing.
    pub fn stop(&self) {
        self.around.stop.store(true, Ordering::Release);
        self.release_all();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                tracing::error!("a fold thread has panicked");
            }
        }
        self.around.checkpointer.stop();
    }

    /// Whether partitions are folded here, rather than followed.
    #[must_use]
    pub const fn folds_here(&self) -> bool {
        !matches!(self.duty, Duty::Follow(_))
    }

    /// Number of partitions of the events.
    #[must_use]
    pub fn partitions(&self) -> u16 {
        self.views.len() as u16
    }

    /// The plan events are folded by.
    #[must_use]
    pub fn plan(&self) -> &Arc<FoldPlan> {
        &self.plan
    }

    /// The item table.
    #[must_use]
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// The next offset that a partition will fold.
    #[must_use]
    pub fn applied(&self, partition: PartitionId) -> Offset {
        let progress = self.progress.get(usize::from(partition.0));
        progress.map_or(0, |progress| progress.applied())
    }

    /// The next offset of each partition, in their order.
    #[must_use]
    pub fn applied_all(&self) -> Vec<Offset> {
        self.progress.iter().map(|p| p.applied()).collect()
    }

    /// The position of each partition's newest durable checkpoint, in their order.
    #[must_use]
    pub fn durable_all(&self) -> Vec<Offset> {
        self.progress.iter().map(|p| p.durable()).collect()
    }

    /// The next offset of the catalogue's stream.
    #[must_use]
    pub fn catalog_applied(&self) -> Offset {
        self.catalog_progress.applied()
    }

    /// Waits until the event at `offset` shows in reads; false at the deadline, or at once if the
    /// partition has failed or stopped.
    pub async fn wait_applied(
        &self,
        partition: PartitionId,
        offset: Offset,
        deadline: Instant,
    ) -> bool {
        match self.progress.get(usize::from(partition.0)) {
            Some(progress) => progress.wait_applied(offset, deadline).await,
            None => false,
        }
    }

    /// Waits until the item change at `offset` shows in the catalogue, as [`Self::wait_applied`].
    pub async fn wait_catalog_applied(&self, offset: Offset, deadline: Instant) -> bool {
        self.catalog_progress.wait_applied(offset, deadline).await
    }

    /// Records acknowledged but not yet folded, by partition of the events; none for those that are
    /// folded elsewhere and not followed.
    #[must_use]
    pub fn lag(&self) -> Vec<u64> {
        let lag = |(at, progress): (usize, &Arc<Progress>)| {
            if progress.phase() == Phase::Elsewhere {
                return 0;
            }
            let bounds = self.bounds(PartitionId(at as u16));
            bounds.end.saturating_sub(progress.applied())
        };
        self.progress.iter().enumerate().map(lag).collect()
    }

    /// What the log holds of a partition of the events: now, or when it was last asked if it is
    /// away. Nothing for a partition that does not exist.
    #[must_use]
    pub fn bounds(&self, partition: PartitionId) -> Bounds {
        let Some(progress) = self.progress.get(usize::from(partition.0)) else {
            return Bounds {
                earliest: 0,
                end: 0,
            };
        };
        // A log that is away would let every caller wait for its timeout.
        if progress.stall().is_none()
            && let Ok(bounds) = self.log.bounds(Stream::Events, partition)
        {
            return bounds;
        }
        progress.bounds()
    }

    /// Why each partition pauses, if it does, in the order of [`Self::phases`].
    #[must_use]
    pub fn stalls(&self) -> Vec<Option<String>> {
        let all = self.progress.iter().chain([&self.catalog_progress]);
        all.map(|progress| progress.stall()).collect()
    }

    /// What each partition of the events is doing, in their order; the catalogue's fold is last.
    #[must_use]
    pub fn phases(&self) -> Vec<Phase> {
        let all = self.progress.iter().chain([&self.catalog_progress]);
        all.map(|progress| progress.phase()).collect()
    }

    /// Whether answers reflect what has happened. Partitions that come and go make no difference
    /// to whether a process is ready, unless one has failed.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let mut phases = self.phases();
        if matches!(self.duty, Duty::Given { .. }) {
            let is_fenced = |at: usize| self.progress.get(at).is_some_and(|p| p.is_fenced());
            for (at, phase) in phases.iter_mut().enumerate().take(self.views.len()) {
                if !matches!(phase, Phase::Failed(_)) || is_fenced(at) {
                    *phase = Phase::Elsewhere;
                }
            }
        }
        let failure = phases.iter().find_map(|phase| match phase {
            Phase::Failed(reason) => Some(reason.clone()),
            _ => None,
        });
        if let Some(reason) = failure {
            return Readiness::Failed(reason);
        }
        if phases.contains(&Phase::Restoring) {
            return Readiness::Restoring;
        }
        if phases.contains(&Phase::Replaying) {
            let records = self.lag().iter().sum();
            return Readiness::Replaying { records };
        }
        match self.stalls().into_iter().flatten().next() {
            Some(reason) => Readiness::Stalled(reason),
            None => Readiness::Live,
        }
    }

    /// Calls `read` with a user's state and the tables of their partition, under a read lock:
    /// copy what is needed and return. `None` if nothing is known of the user.
    ///
    /// A user of a partition that is folded elsewhere is read from its owner's store first, in one
    /// round trip; one that cannot be read in time is counted and taken as unknown.
    pub fn with_user<R>(
        &self,
        user: &UserKey,
        read: impl FnOnce(UserRef<'_>, &PartitionView) -> R,
    ) -> Option<R> {
        let partition = user.partition(self.partitions());
        if let Duty::Follow(follow) = &self.duty {
            let section = follow.reader.user(ChainId::events(partition), user);
            return self.with_stored(user, &self.stored(section), read);
        }
        let view = self.views[usize::from(partition.0)].read();
        let user = view.user(user)?;
        Some(read(user, &view))
    }

    /// What [`Self::with_stored`] needs of a user whose partition is folded elsewhere, for tasks:
    /// they await the store instead of blocking for it. `None` where it is folded here.
    pub async fn read_ahead(&self, user: &UserKey) -> Option<StoredUser> {
        let Duty::Follow(follow) = &self.duty else {
            return None;
        };
        let chain = ChainId::events(user.partition(self.partitions()));
        Some(self.stored(follow.reader.user_awaited(chain, *user).await))
    }

    fn stored(&self, section: Result<Option<Vec<u8>>, StoreError>) -> StoredUser {
        StoredUser(section.unwrap_or_else(|error| {
            self.users_unread.increment(1);
            tracing::debug!(%error, "a user was not read");
            None
        }))
    }

    /// As [`Self::with_user`], with what was read ahead.
    pub fn with_stored<R>(
        &self,
        user: &UserKey,
        stored: &StoredUser,
        read: impl FnOnce(UserRef<'_>, &PartitionView) -> R,
    ) -> Option<R> {
        let view = &self.views[usize::from(user.partition(self.partitions()).0)];
        let section = stored.0.as_ref()?;
        let deadline = Instant::now() + ROWS_PATIENCE;
        loop {
            let view = view.read();
            let known = view.read_section(user, section)?;
            if known.entries_unknown() == 0 || Instant::now() >= deadline {
                return Some(read(view.user_of(&known)?, &view));
            }
            drop(view);
            std::thread::sleep(ROWS_STEP);
        }
    }

    /// Calls `read` with the state of a partition, under a read lock. `None` if there is no such
    /// partition.
    pub fn with_partition<R>(
        &self,
        partition: PartitionId,
        read: impl FnOnce(&PartitionView) -> R,
    ) -> Option<R> {
        let view = self.views.get(usize::from(partition.0))?;
        Some(read(&view.read()))
    }

    pub(crate) fn views(&self) -> &[Arc<RwLock<PartitionView>>] {
        &self.views
    }

    /// What became of the records of each partition since their first.
    #[must_use]
    pub fn counters(&self) -> Vec<Counters> {
        let counters = |view: &Arc<RwLock<PartitionView>>| *view.read().state().counters();
        self.views.iter().map(counters).collect()
    }

    /// A hash of each partition's state, comparable with those of [`crate::replay()`] at the same
    /// position. Takes each partition's read lock for as long as that takes.
    #[must_use]
    pub fn state_hashes(&self) -> Vec<u64> {
        let hash = |view: &Arc<RwLock<PartitionView>>| view.read().state().state_hash();
        self.views.iter().map(hash).collect()
    }

    /// Bytes of all partitions' state as their budgets count them.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        let bytes = |view: &Arc<RwLock<PartitionView>>| view.read().state().state_bytes();
        self.views.iter().map(bytes).sum()
    }

    /// The highest event time seen in any partition; [`Timestamp::MIN`] before any event.
    #[must_use]
    pub fn watermark(&self) -> Timestamp {
        let watermark = |view: &Arc<RwLock<PartitionView>>| view.read().state().watermark();
        let newest = self.views.iter().map(watermark).max();
        newest.unwrap_or(Timestamp::MIN)
    }
}

pub(crate) fn start_worker(
    chain: ChainId,
    fold: impl Fold,
    around: Surroundings,
    progress: &Arc<Progress>,
) -> Result<JoinHandle<()>, StreamError> {
    let worker = Worker::new(chain, fold, around, progress.clone());
    let name = format!("fold-{}-{}", chain.stream.name(), chain.partition.0);
    let thread = std::thread::Builder::new()
        .name(name)
        .spawn(move || worker.run())?;
    Ok(thread)
}

impl Drop for Processor {
    fn drop(&mut self) {
        self.stop();
    }
}
