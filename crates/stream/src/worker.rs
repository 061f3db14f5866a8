//! One thread per partition: restore, replay, fold what comes, checkpoint now and then.
//!
//! Everything with a choice in it (which chain, whether positions make sense) is in `restore.rs`;
//! here is the loop. Records are decoded outside the lock and folded under it in micro-batches, so
//! that a reader waits for at most one of them.

use crate::checkpointer::{Checkpointer, Content, Job, Receipt};
use crate::config::StreamConfig;
use crate::error::StreamError;
use crate::fold::{Fold, oldest_receipt};
use crate::progress::{Phase, Progress};
use metrics::{Gauge, Histogram};
use nowcast_log::{EventLog, StoredBatch};
use nowcast_store::{ChainId, CheckpointStore};
use nowcast_types::{Clock, Offset, Record};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest wait for new records before looking at the clock and the stop flag again.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// After this many failed checkpoints in a row the pause between tries no longer doubles.
const BACKOFF_DOUBLINGS_MAX: u32 = 6;

/// What all workers share.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) store: Arc<CheckpointStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) checkpointer: Arc<Checkpointer>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) config: StreamConfig,
}

/// Drives one fold until told to stop.
pub(crate) struct Worker<F> {
    pub(crate) chain: ChainId,
    pub(crate) fold: F,
    pub(crate) around: Surroundings,
    pub(crate) progress: Arc<Progress>,
    /// Where the log ended when the worker started: from there on it is live.
    pub(crate) live_from: Offset,
    schedule: Schedule,
    lag: Gauge,
    visible: Histogram,
}

/// When the next checkpoint is due.
struct Schedule {
    last: Instant,
    /// Bytes folded since the last checkpoint was encoded.
    bytes: u64,
    /// Position of the last checkpoint that was encoded, durable or not.
    encoded: Offset,
    in_flight: Option<Receipt>,
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
            chain,
            fold,
            around,
            progress,
            live_from: 0,
            schedule: Schedule {
                last: Instant::now(),
                bytes: 0,
                encoded: 0,
                in_flight: None,
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
                Phase::Failed(error.to_string())
            }
        };
        self.progress.set_phase(phase);
    }

    fn restore_and_fold(&mut self) -> Result<(), StreamError> {
        self.restore()?;
        self.schedule.encoded = self.fold.position();
        while !self.is_stopping() {
            let folded = self.fold_available()?;
            self.checkpoint_if_due();
            if !folded {
                let position = self.fold.position();
                let (stream, partition) = (self.chain.stream, self.chain.partition);
                self.around
                    .log
                    .wait_beyond(stream, partition, position, WAIT_MAX);
            }
        }
        self.checkpoint_finally();
        Ok(())
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
        let end = self.around.log.bounds(stream, partition)?.end;
        self.lag
            .set(end.saturating_sub(self.fold.position()) as f64);
        self.note_live();
        Ok(true)
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
        self.fold.apply(records)?;
        let position = self.fold.position();
        self.progress.set_applied(position);
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
    fn checkpoint_if_due(&mut self) {
        if let Some(receipt) = self.schedule.in_flight.take() {
            match receipt.try_take() {
                Some(outcome) => self.note_outcome(outcome),
                None => {
                    self.schedule.in_flight = Some(receipt);
                    return;
                }
            }
        }
        let config = &self.around.config;
        let backoff = 1 << self.schedule.failures.min(BACKOFF_DOUBLINGS_MAX);
        let interval = config.checkpoint_interval.duration() * backoff;
        let is_large = self.schedule.bytes >= config.checkpoint_bytes.bytes();
        let is_due = self.schedule.last.elapsed() >= interval;
        let has_failed = self.schedule.failures > 0;
        if self.has_news() && (is_due || (is_large && !has_failed)) {
            let checkpointer = self.around.checkpointer.clone();
            let Some(_turn) = checkpointer.try_turn() else {
                return;
            };
            let receipt = self.start_checkpoint();
            self.schedule.in_flight = Some(receipt);
        }
    }

    fn has_news(&self) -> bool {
        self.fold.position() != self.schedule.encoded || self.around.store.needs_full(self.chain)
    }

    fn start_checkpoint(&mut self) -> Receipt {
        self.fold.settle();
        let position = self.fold.position();
        let content = if self.around.store.needs_full(self.chain) {
            Content::Full(self.fold.encode_full())
        } else {
            Content::Delta(self.fold.encode_delta())
        };
        self.schedule.last = Instant::now();
        self.schedule.bytes = 0;
        self.schedule.encoded = position;
        self.around.checkpointer.submit(Job {
            chain: self.chain,
            position,
            content,
            progress: self.progress.clone(),
        })
    }

    fn note_outcome(&mut self, is_durable: bool) {
        // After a failure the store asks for a full checkpoint, so nothing encoded is lost.
        self.schedule.failures = if is_durable {
            0
        } else {
            self.schedule.failures + 1
        };
    }

    /// The checkpoint of a graceful stop, so that the next start replays nothing.
    fn checkpoint_finally(&mut self) {
        if let Some(receipt) = self.schedule.in_flight.take() {
            let outcome = receipt.take();
            self.note_outcome(outcome);
        }
        if self.has_news() {
            let outcome = self.start_checkpoint().take();
            self.note_outcome(outcome);
        }
    }
}
