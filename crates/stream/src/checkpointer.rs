//! The threads that make checkpoints durable, outside of every lock and of the folds' time.
//!
//! One thread writes to a disk, stepping back behind those who fold and answer; several write to a
//! store that other processes answer from, side by side and at once. One compacts. A chain has one
//! job at a time, so its commits keep their order. A checkpoint that is durable moves the log's protection mark, so
//! retention can never remove what the next start will need.

use crate::error::StreamError;
use crate::progress::Progress;
use metrics::{Counter, Histogram};
use nowcast_disk::pace::step_back;
use nowcast_log::EventLog;
use nowcast_store::{ChainId, Commit, Epoch, StateStore, StoreError};
use nowcast_types::Offset;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the compactor looks at chains that no checkpoint has called its attention to.
const COMPACTION_ROUND: Duration = Duration::from_secs(60);

/// Chains committed side by side to a store that others read: one whose server is slow or down does
/// not hold up the rest.
const HURRIED_WRITERS: usize = 8;

/// What a checkpoint holds.
pub(crate) enum Content {
    Delta(Vec<u8>),
    Full(Vec<Vec<u8>>),
}

/// A checkpoint to be written.
pub(crate) struct Job {
    pub(crate) chain: ChainId,
    pub(crate) epoch: Epoch,
    /// The position stored before it.
    pub(crate) follows: Option<Offset>,
    pub(crate) position: Offset,
    pub(crate) content: Content,
    pub(crate) progress: Arc<Progress>,
}

/// What became of a job.
pub(crate) enum Outcome {
    /// It is durable.
    Durable,
    /// It is not, or nobody knows: the store says what it wants next.
    Failed,
    /// The store was away: the same job may be sent again.
    Undecided(Job),
    /// The store has lost commits, or somebody else made some: load again.
    Stale,
    /// Another owner has taken over.
    Fenced(StoreError),
}

/// Tells what became of a job.
pub(crate) struct Receipt(Receiver<Outcome>);

impl Receipt {
    /// The answer, if it is there.
    pub(crate) fn try_take(&self) -> Option<Outcome> {
        match self.0.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(std::sync::mpsc::TryRecvError::Empty) => None,
            Err(std::sync::mpsc::TryRecvError::Disconnected) => Some(Outcome::Failed),
        }
    }

    /// Waits for the answer.
    pub(crate) fn take(self) -> Outcome {
        self.0.recv().unwrap_or(Outcome::Failed)
    }
}

type Queued = (Job, SyncSender<Outcome>);

/// Handle of the threads. Each worker has one job at a time, which bounds the queue.
pub(crate) struct Checkpointer {
    /// Held by the partition that encodes: one at a time, so that the rest of the machine goes on.
    turn: Mutex<()>,
    jobs: Mutex<Option<Sender<Queued>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Checkpointer {
    pub(crate) fn start(
        store: Arc<dyn StateStore>,
        log: Arc<dyn EventLog>,
        compaction_age_max: Duration,
    ) -> Result<Self, StreamError> {
        let (jobs, queue) = channel::<Queued>();
        let (written, compactable) = channel::<ChainId>();
        let compactor = Compactor {
            store: store.clone(),
            age_max: compaction_age_max,
            compacted: BTreeMap::new(),
        };
        let writer = Arc::new(Writer {
            log,
            seconds: metrics::histogram!("nowcast_checkpoint_seconds"),
            bytes: metrics::counter!("nowcast_checkpoint_bytes_total"),
            failures: metrics::counter!("nowcast_checkpoint_failures_total"),
            queue: Mutex::new(queue),
            store,
        });
        let is_hurried = writer.store.is_read_elsewhere();
        let writers = if is_hurried { HURRIED_WRITERS } else { 1 };
        let mut threads = Vec::with_capacity(writers + 1);
        for _ in 0..writers {
            let (writer, written) = (writer.clone(), written.clone());
            threads.push(spawn("checkpoint", move || {
                if !is_hurried {
                    step_back();
                }
                writer.run(&written);
            })?);
        }
        threads.push(spawn("compaction", move || {
            step_back();
            compactor.run(&compactable);
        })?);
        Ok(Self {
            turn: Mutex::new(()),
            jobs: Mutex::new(Some(jobs)),
            threads: Mutex::new(threads),
        })
    }

    /// The turn to encode, if no other partition is at it.
    pub(crate) fn try_turn(&self) -> Option<MutexGuard<'_, ()>> {
        self.turn.try_lock()
    }

    pub(crate) fn submit(&self, job: Job) -> Receipt {
        let (answer, receipt) = sync_channel(1);
        if let Some(jobs) = &*self.jobs.lock() {
            // If the thread is gone the answer's sender is dropped with the job: "not durable".
            let _ = jobs.send((job, answer));
        }
        Receipt(receipt)
    }

    /// Ends the threads once they have done what they were given.
    pub(crate) fn stop(&self) {
        self.jobs.lock().take();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a checkpoint thread has panicked");
            }
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder.spawn(work)
}

struct Writer {
    store: Arc<dyn StateStore>,
    log: Arc<dyn EventLog>,
    queue: Mutex<Receiver<Queued>>,
    seconds: Histogram,
    bytes: Counter,
    failures: Counter,
}

impl Writer {
    fn run(&self, written: &Sender<ChainId>) {
        while let Some((job, answer)) = self.next() {
            let started = Instant::now();
            let outcome = self.write(&job, written);
            self.seconds.record(started.elapsed().as_secs_f64());
            if let Err(error) = &outcome {
                self.failures.increment(1);
                let (stream, partition) = (job.chain.stream.name(), job.chain.partition.0);
                tracing::error!(stream, partition, %error, "a checkpoint was not written");
            }
            // A worker that has ended does not care.
            let _ = answer.send(self.outcome(job, outcome));
        }
    }

    /// The next job; `None` when there will be no more. Whoever waits holds the queue.
    fn next(&self) -> Option<Queued> {
        self.queue.lock().recv().ok()
    }

    fn outcome(&self, job: Job, outcome: Result<(), StreamError>) -> Outcome {
        match outcome {
            Ok(()) => Outcome::Durable,
            Err(StreamError::Store(error @ StoreError::Fenced { .. })) => Outcome::Fenced(error),
            Err(_) if self.store.needs_full(job.chain) => Outcome::Failed,
            Err(StreamError::Store(StoreError::Stale { .. })) => Outcome::Stale,
            Err(error) if error.kind().is_retryable() => Outcome::Undecided(job),
            Err(_) => Outcome::Failed,
        }
    }

    fn write(&self, job: &Job, written: &Sender<ChainId>) -> Result<(), StreamError> {
        let commit = |content| Commit {
            epoch: job.epoch,
            follows: job.follows,
            position: job.position,
            content,
        };
        let bytes = match &job.content {
            Content::Delta(blob) => {
                let content = nowcast_store::Content::Delta(blob);
                self.store.commit(job.chain, &commit(content))?;
                blob.len()
            }
            Content::Full(blobs) => {
                let blobs: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
                let content = nowcast_store::Content::Full(&blobs);
                self.store.commit(job.chain, &commit(content))?;
                blobs.iter().map(|blob| blob.len()).sum()
            }
        };
        self.bytes.increment(bytes as u64);
        job.progress.set_durable(job.position);
        let (stream, partition) = (job.chain.stream, job.chain.partition);
        if let Err(error) = self.log.protect(stream, partition, job.position) {
            // The checkpoint is durable; the log only keeps more than it must.
            self.failures.increment(1);
            tracing::error!(stream = stream.name(), partition = partition.0, %error, "the log was not told");
        }
        let _ = written.send(job.chain);
        Ok(())
    }
}

struct Compactor {
    store: Arc<dyn StateStore>,
    age_max: Duration,
    /// When each chain seen so far was last compacted, or first seen.
    compacted: BTreeMap<ChainId, Instant>,
}

impl Compactor {
    fn run(mut self, written: &Receiver<ChainId>) {
        loop {
            match written.recv_timeout(COMPACTION_ROUND) {
                Ok(chain) => {
                    self.compacted.entry(chain).or_insert_with(Instant::now);
                    if self.store.wants_compaction(chain) {
                        self.compact(chain);
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.compact_aged(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Compacts what has gone long without, so that erased data leaves the disk.
    fn compact_aged(&mut self) {
        let is_aged = |at: &Instant| at.elapsed() >= self.age_max;
        let aged: Vec<ChainId> = self
            .compacted
            .iter()
            .filter(|(_, at)| is_aged(at))
            .map(|(chain, _)| *chain)
            .collect();
        for chain in aged {
            self.compact(chain);
        }
    }

    fn compact(&mut self, chain: ChainId) {
        let (stream, partition) = (chain.stream.name(), chain.partition.0);
        match self.store.compact(chain) {
            Ok(Some(compacted)) => {
                tracing::debug!(
                    stream,
                    partition,
                    ?compacted,
                    "a checkpoint chain was compacted"
                );
            }
            Ok(None) => {}
            Err(error @ StoreError::Corrupt { .. }) => {
                metrics::counter!("nowcast_checkpoint_damage_total").increment(1);
                tracing::error!(stream, partition, %error, "damage found; a full checkpoint follows");
            }
            Err(error) => {
                tracing::warn!(stream, partition, %error, "a chain was not compacted");
            }
        }
        self.compacted.insert(chain, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_log::MemoryLog;
    use nowcast_store::{Loaded, Saved, Verdict};
    use nowcast_types::PartitionId;
    use parking_lot::Condvar;

    /// Longer than two threads take to meet on a loaded machine.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A store across a network of which a commit only returns once another is under way.
    #[derive(Default)]
    struct Meeting {
        inside: Mutex<usize>,
        arrived: Condvar,
    }

    impl StateStore for Meeting {
        fn claim(&self, _chain: ChainId, _epoch: Epoch) -> Result<(), StoreError> {
            Ok(())
        }

        fn load(
            &self,
            _chain: ChainId,
            _epoch: Epoch,
            _judge: &mut dyn FnMut(Saved) -> Verdict,
        ) -> Result<Loaded, StoreError> {
            Ok(Loaded {
                position: None,
                damage: Vec::new(),
            })
        }

        fn commit(&self, _chain: ChainId, _commit: &Commit<'_>) -> Result<(), StoreError> {
            let mut inside = self.inside.lock();
            *inside += 1;
            self.arrived.notify_all();
            let alone = |inside: &mut usize| *inside < 2;
            let wait = self.arrived.wait_while_for(&mut inside, alone, PATIENCE);
            if wait.timed_out() {
                return Err(StoreError::Invalid("the other never came".to_owned()));
            }
            Ok(())
        }

        fn needs_full(&self, _chain: ChainId) -> bool {
            false
        }

        fn is_read_elsewhere(&self) -> bool {
            true
        }
    }

    #[test]
    fn chains_that_others_answer_from_are_committed_side_by_side() {
        let checkpointer = Checkpointer::start(
            Arc::new(Meeting::default()),
            Arc::new(MemoryLog::new(2)),
            Duration::from_secs(3_600),
        )
        .unwrap();
        let submit = |partition| {
            checkpointer.submit(Job {
                chain: ChainId::events(PartitionId(partition)),
                epoch: Epoch(1),
                follows: None,
                position: 0,
                content: Content::Delta(Vec::new()),
                progress: Arc::new(Progress::new()),
            })
        };
        let receipts = [submit(0), submit(1)];
        for receipt in receipts {
            assert!(matches!(receipt.take(), Outcome::Durable));
        }
        checkpointer.stop();
    }
}
