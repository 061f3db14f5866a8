//! One thread per partition: restore, replay, fold what comes, checkpoint now and then.
//!
//! Everything with a choice in it (which chain, whether positions make sense) is in `restore.rs`;
//! here is the loop. Records are decoded outside the lock and folded under it in micro-batches, so
//! that a reader waits for at most one of them.

use crate::checkpointer::{Checkpointer, Content, Job, Outcome, Receipt};
use crate::config::StreamConfig;
use crate::epochs::Epochs;
use crate::error::StreamError;
use crate::fold::{Fold, oldest_receipt};
use crate::progress::{Phase, Progress};
use crate::stall::Stall;
use metrics::{Counter, Gauge, Histogram};
use nowcast_log::{EventLog, StoredBatch};
use nowcast_store::{ChainId, StateStore, StoreError};
use nowcast_types::{Clock, ErrorKind, Offset, Record};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest wait for new records before looking at the clock and the stop flag again.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// Shortest such wait, if a checkpoint is due or under way meanwhile.
const WAIT_MIN: Duration = Duration::from_millis(1);
/// After this many failed checkpoints in a row the pause between tries no longer doubles.
const BACKOFF_DOUBLINGS_MAX: u32 = 6;
/// How often an owner without news looks whether the store still has its last commit.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// How often the log's end is asked for while there is something to fold.
const BOUNDS_EVERY: Duration = Duration::from_millis(250);

/// What all workers share.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) store: Arc<dyn StateStore>,
    pub(crate) epochs: Epochs,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) checkpointer: Arc<Checkpointer>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) config: StreamConfig,
    /// Whether what is folded is committed; otherwise somebody else commits it.
    pub(crate) is_committing: bool,
}

/// Drives one fold until told to stop.
pub(crate) struct Worker<F> {
    pub(crate) chain: ChainId,
    pub(crate) fold: F,
    pub(crate) around: Surroundings,
    pub(crate) progress: Arc<Progress>,
    /// Where the log ended when the worker started: from there on it is live.
    pub(crate) live_from: Offset,
    /// The position that the store holds; `None` if it holds nothing.
    pub(crate) committed: Option<Offset>,
    pub(crate) stall: Stall,
    schedule: Schedule,
    bounds_asked: Instant,
    reloads: Counter,
    lag: Gauge,
    visible: Histogram,
}

/// When the next checkpoint is due.
struct Schedule {
    last: Instant,
    /// When the store was last looked at.
    looked: Instant,
    /// Bytes folded since the last checkpoint was encoded.
    bytes: u64,
    /// Position of the last checkpoint that was encoded, durable or not.
    encoded: Offset,
    in_flight: Option<Receipt>,
    /// A checkpoint whose outcome is unknown, to be sent again as it is.
    undecided: Option<Job>,
    failures: u32,
}

impl<F: Fold> Worker<F> {
    pub(crate) fn new(
        chain: ChainId,
        fold: F,
        around: Surroundings,
        progress: Arc<Progress>,
    ) -> Self {
        let stream = chain.stream.name();
        let partition = chain.partition.0.to_string();
        Self {
            lag: metrics::gauge!("nowcast_fold_lag_records", "stream" => stream, "partition" => partition),
            visible: metrics::histogram!("nowcast_event_to_visible_seconds"),
            reloads: metrics::counter!("nowcast_store_reloads_total"),
            stall: Stall::new(chain),
            bounds_asked: Instant::now(),
            chain,
            fold,
            around,
            progress,
            live_from: 0,
            committed: None,
            schedule: Schedule {
                last: Instant::now(),
                looked: Instant::now(),
                bytes: 0,
                encoded: 0,
                in_flight: None,
                undecided: None,
                failures: 0,
            },
        }
    }

    /// Runs to the end; the outcome is the last phase of the progress.
    pub(crate) fn run(mut self) {
        let phase = match self.restore_and_fold() {
            Ok(()) => Phase::Stopped,
            Err(error) => {
                let (stream, partition) = (self.chain.stream.name(), self.chain.partition.0);
                tracing::error!(stream, partition, %error, "a partition has stopped");
                if matches!(error, StreamError::Store(StoreError::Fenced { .. })) {
                    self.progress.set_fenced();
                }
                Phase::Failed(error.to_string())
            }
        };
        self.progress.set_phase(phase);
    }

    fn restore_and_fold(&mut self) -> Result<(), StreamError> {
        if !self.restore_patiently()? {
            return Ok(());
        }
        self.schedule.encoded = self.fold.position();
        while !self.is_stopping() {
            let (folded, pause) = self.fold_or_pause()?;
            self.checkpoint_if_due()?;
            self.wait_for_the_store()?;
            if let Some(pause) = pause {
                self.pause(pause);
            } else if !folded {
                self.look_at_the_store()?;
                let position = self.fold.position();
                let (stream, partition) = (self.chain.stream, self.chain.partition);
                let wait = self.until_due().clamp(WAIT_MIN, WAIT_MAX);
                self.around
                    .log
                    .wait_beyond(stream, partition, position, wait);
            }
        }
        self.checkpoint_finally()
    }

    /// Folds what is there; if the log is away, says for how long to leave it alone.
    fn fold_or_pause(&mut self) -> Result<(bool, Option<Duration>), StreamError> {
        match self.fold_available() {
            Ok(folded) => {
                self.stall.end(&self.progress);
                Ok((folded, None))
            }
            Err(error) if Stall::is_away(&error) => {
                let pause = self.stall.begin(&error, &self.progress);
                Ok((false, Some(pause)))
            }
            Err(error) => Err(error),
        }
    }

    /// Sleeps; false as soon as it is told to stop.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        loop {
            if self.is_stopping() {
                return false;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(WAIT_MAX));
        }
    }

    fn is_stopping(&self) -> bool {
        self.around.stop.load(Ordering::Acquire)
    }

    /// Folds one read's worth of records; false if there were none.
    fn fold_available(&mut self) -> Result<bool, StreamError> {
        let (stream, partition) = (self.chain.stream, self.chain.partition);
        let position = self.fold.position();
        let bytes_max = self.around.config.read_bytes_max.bytes() as usize;
        let batches = self
            .around
            .log
            .read(stream, partition, position, bytes_max)?;
        if batches.is_empty() {
            self.lag.set(0.0);
            self.note_live();
            return Ok(false);
        }
        self.fold_batches(&batches, position)?;
        self.schedule.bytes += batches.iter().map(|b| b.byte_len() as u64).sum::<u64>();
        self.note_lag();
        self.note_live();
        Ok(true)
    }

    /// Publishes the lag, from an end of the log that may be a moment old: a broker has better to
    /// do than to be asked after each batch.
    fn note_lag(&mut self) {
        if self.bounds_asked.elapsed() >= BOUNDS_EVERY {
            self.bounds_asked = Instant::now();
            let (stream, partition) = (self.chain.stream, self.chain.partition);
            // If it does not know, the next read will tell why.
            if let Ok(bounds) = self.around.log.bounds(stream, partition) {
                self.progress.set_bounds(bounds);
            }
        }
        let end = self.progress.bounds().end;
        let lag = end.saturating_sub(self.fold.position());
        self.lag.set(lag as f64);
    }

    fn fold_batches(&mut self, batches: &[StoredBatch], from: Offset) -> Result<(), StreamError> {
        let batch_max = usize::from(self.around.config.fold_batch_records);
        let mut records: Vec<(Offset, Record<'_>)> = Vec::with_capacity(batch_max);
        let all = batches.iter().flat_map(StoredBatch::records);
        for (offset, record) in all.filter(|(offset, _)| *offset >= from) {
            let record = record.map_err(|error| StreamError::BadRecord {
                chain: self.chain,
                offset,
                detail: error.to_string(),
            })?;
            records.push((offset, record));
            if records.len() == batch_max {
                self.fold_records(&records)?;
                records.clear();
                if self.is_stopping() {
                    return Ok(());
                }
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        self.fold_records(&records)
    }

    fn fold_records(&mut self, records: &[(Offset, Record<'_>)]) -> Result<(), StreamError> {
        let outcome = self.fold.apply(records);
        let position = self.fold.position();
        self.progress.set_applied(position);
        outcome?;
        // Replayed records were received long ago; their age says nothing about freshness.
        if position > self.live_from
            && let Some(received_at) = oldest_receipt(records)
        {
            let age_ms = self.around.clock.now().since_ms(received_at).max(0);
            self.visible.record(age_ms as f64 / 1_000.0);
        }
        Ok(())
    }

    fn note_live(&self) {
        if self.fold.position() >= self.live_from && self.progress.phase() == Phase::Replaying {
            self.progress.set_phase(Phase::Live);
        }
    }

    /// Takes the result of the checkpoint under way, if it is there, and starts the next if due.
    fn checkpoint_if_due(&mut self) -> Result<(), StreamError> {
        if let Some(receipt) = self.schedule.in_flight.take() {
            match receipt.try_take() {
                Some(outcome) => self.note_outcome(outcome)?,
                None => {
                    self.schedule.in_flight = Some(receipt);
                    return Ok(());
                }
            }
        }
        let is_large = self.schedule.bytes >= self.around.config.checkpoint_bytes.bytes();
        let has_failed = self.schedule.failures > 0;
        let is_due = self.schedule.last.elapsed() >= self.interval();
        if self.has_news() && (is_due || (is_large && !has_failed)) {
            let checkpointer = self.around.checkpointer.clone();
            let Some(_turn) = checkpointer.try_turn() else {
                return Ok(());
            };
            if self.is_settled()? {
                let receipt = self.start_checkpoint();
                self.schedule.in_flight = Some(receipt);
            }
        }
        Ok(())
    }

    /// Whether all outputs so far are durable, so that a checkpoint may cover them. Without the log
    /// there is no checkpoint.
    fn is_settled(&mut self) -> Result<bool, StreamError> {
        match self.fold.settle() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                let (stream, partition) = (self.chain.stream.name(), self.chain.partition.0);
                tracing::warn!(stream, partition, %error, "no checkpoint: outputs are not durable");
                self.schedule.last = Instant::now();
                self.schedule.failures += 1;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn interval(&self) -> Duration {
        let backoff = 1 << self.schedule.failures.min(BACKOFF_DOUBLINGS_MAX);
        self.around.config.checkpoint_interval.duration() * backoff
    }

    /// How long until there is a checkpoint to be started; a long time without news.
    fn until_due(&self) -> Duration {
        if self.has_news() {
            self.interval().saturating_sub(self.schedule.last.elapsed())
        } else {
            WAIT_MAX
        }
    }

    /// Folds no further while the store is slower than the log, where it sets a limit.
    fn wait_for_the_store(&mut self) -> Result<(), StreamError> {
        let Some(backlog_max) = self.around.store.backlog_bytes_max() else {
            return Ok(());
        };
        while self.schedule.bytes >= backlog_max && self.has_news() && !self.is_stopping() {
            std::thread::sleep(WAIT_MIN);
            self.checkpoint_if_due()?;
        }
        Ok(())
    }

    /// An owner without news looks now and then whether the store has lost what it had.
    fn look_at_the_store(&mut self) -> Result<(), StreamError> {
        let is_idle = self.schedule.in_flight.is_none() && !self.has_news();
        let Some(committed) = self.committed.filter(|_| is_idle) else {
            return Ok(());
        };
        if !self.around.is_committing || self.schedule.looked.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        self.schedule.looked = Instant::now();
        match self.around.store.look(self.chain, committed) {
            Err(StoreError::Stale { .. }) => self.reload(),
            Err(error) => {
                tracing::debug!(%error, "the store cannot be looked at");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Begins again from what the store has.
    fn reload(&mut self) -> Result<(), StreamError> {
        let (stream, partition) = (self.chain.stream.name(), self.chain.partition.0);
        tracing::warn!(stream, partition, "the store went back: loading it again");
        self.reloads.increment(1);
        if self.restore_patiently()? {
            self.schedule.encoded = self.fold.position();
            self.schedule.bytes = 0;
        }
        Ok(())
    }

    fn has_news(&self) -> bool {
        if !self.around.is_committing {
            return false;
        }
        let has_folded = self.fold.position() != self.schedule.encoded;
        has_folded || self.schedule.undecided.is_some() || self.around.store.needs_full(self.chain)
    }

    fn start_checkpoint(&mut self) -> Receipt {
        self.schedule.last = Instant::now();
        if let Some(job) = self.schedule.undecided.take() {
            return self.around.checkpointer.submit(job);
        }
        let position = self.fold.position();
        let content = if self.around.store.needs_full(self.chain) {
            Content::Full(self.fold.encode_full())
        } else {
            Content::Delta(self.fold.encode_delta())
        };
        self.schedule.bytes = 0;
        self.schedule.encoded = position;
        self.around.checkpointer.submit(Job {
            chain: self.chain,
            epoch: self.around.epochs.of(self.chain),
            follows: self.committed,
            position,
            content,
            progress: self.progress.clone(),
        })
    }

    fn note_outcome(&mut self, outcome: Outcome) -> Result<(), StreamError> {
        match outcome {
            Outcome::Durable => {
                self.committed = Some(self.progress.durable());
                self.schedule.failures = 0;
                return Ok(());
            }
            Outcome::Fenced(error) => return Err(error.into()),
            Outcome::Stale => self.reload()?,
            Outcome::Undecided(job) => self.schedule.undecided = Some(job),
            // The store asks for a full checkpoint, so nothing encoded is lost.
            Outcome::Failed => {}
        }
        self.schedule.failures += 1;
        Ok(())
    }

    /// The checkpoint of a graceful stop, so that the next start replays nothing.
    fn checkpoint_finally(&mut self) -> Result<(), StreamError> {
        if let Some(receipt) = self.schedule.in_flight.take() {
            let outcome = receipt.take();
            self.note_outcome(outcome)?;
        }
        if self.has_news() && self.is_settled()? {
            let outcome = self.start_checkpoint().take();
            self.note_outcome(outcome)?;
        }
        Ok(())
    }
}
