//! Labelled examples on their way to their stream: in order, none missing, some perhaps twice.
//!
//! One batch is under way at a time, so that nothing can overtake what has to be sent again. What
//! was sent and never confirmed is sent again as it was; readers know it by its origin. A
//! checkpoint is written only when everything that its position covers is durable, so a crash loses
//! nothing either.

use nowcast_features::OwnedExample;
use nowcast_log::{AppendAck, EventLog, LogError, RecordBatch};
use nowcast_types::{PartitionId, Record, Stream};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The only partition of the examples.
const PARTITION: PartitionId = PartitionId(0);
/// A batch of this size is closed.
const BATCH_BYTES: usize = 256 << 10;
/// With more batches than this waiting, folding waits as well.
const BATCHES_MAX: usize = 16;
/// How often an append is tried that the log has no room for, and the pause between.
const ROOM_TRIES: u32 = 200;
const ROOM_PAUSE: Duration = Duration::from_millis(10);

/// The examples of one partition that are not known to be durable.
pub(crate) struct Outbox {
    log: Arc<dyn EventLog>,
    /// In order; the last may still grow.
    waiting: VecDeque<RecordBatch>,
    under_way: Option<(RecordBatch, AppendAck)>,
}

impl Outbox {
    pub(crate) fn new(log: Arc<dyn EventLog>) -> Self {
        Self {
            log,
            waiting: VecDeque::new(),
            under_way: None,
        }
    }

    /// Adds examples of a partition at the end, and sends what can be sent without waiting, unless
    /// too much waits already.
    ///
    /// # Errors
    /// The log's. Nothing is lost: what was not confirmed is tried again.
    pub(crate) fn put(
        &mut self,
        partition: PartitionId,
        examples: &[OwnedExample],
    ) -> Result<(), LogError> {
        for example in examples {
            let is_open = |batch: &&mut RecordBatch| batch.byte_len() < BATCH_BYTES;
            let record = Record::Example(example.record(partition));
            match self.waiting.back_mut().filter(is_open) {
                Some(batch) => batch.push(&record),
                None => {
                    let mut batch = RecordBatch::new();
                    batch.push(&record);
                    self.waiting.push_back(batch);
                }
            }
        }
        if self.waiting.len() > BATCHES_MAX {
            return self.settle();
        }
        match self.advance() {
            // There will be room later; meanwhile it waits here.
            Err(LogError::Overloaded { .. }) => Ok(()),
            outcome => outcome,
        }
    }

    /// Waits until everything is durable.
    ///
    /// # Errors
    /// The log's, after some patience where it only has no room.
    pub(crate) fn settle(&mut self) -> Result<(), LogError> {
        let mut tries = 0;
        while self.under_way.is_some() || !self.waiting.is_empty() {
            let outcome = match self.under_way.take() {
                Some((batch, ack)) => {
                    let outcome = ack.wait().map(drop);
                    self.take_back(batch, outcome)
                }
                None => {
                    self.send_next();
                    Ok(())
                }
            };
            match outcome {
                Err(LogError::Overloaded { .. }) if tries < ROOM_TRIES => {
                    tries += 1;
                    std::thread::sleep(ROOM_PAUSE);
                }
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// Notes what became of the batch under way, if that is known, and sends the next.
    fn advance(&mut self) -> Result<(), LogError> {
        if let Some((batch, mut ack)) = self.under_way.take() {
            let mut context = Context::from_waker(Waker::noop());
            match Pin::new(&mut ack).poll(&mut context) {
                Poll::Pending => {
                    self.under_way = Some((batch, ack));
                    return Ok(());
                }
                Poll::Ready(outcome) => self.take_back(batch, outcome.map(drop))?,
            }
        }
        self.send_next();
        Ok(())
    }

    /// Puts a batch back to the front unless it is durable.
    fn take_back(
        &mut self,
        batch: RecordBatch,
        outcome: Result<(), LogError>,
    ) -> Result<(), LogError> {
        if outcome.is_err() {
            self.waiting.push_front(batch);
        }
        outcome
    }

    fn send_next(&mut self) {
        if let Some(batch) = self.waiting.pop_front() {
            let ack = self.log.append(Stream::Examples, PARTITION, batch.clone());
            self.under_way = Some((batch, ack));
        }
    }
}
