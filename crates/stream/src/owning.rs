//! Partitions that come and go while a processor runs.
//!
//! Whoever shares partitions among processes calls [`Processor::acquire`] and
//! [`Processor::release`], one call at a time. The owner of the first partition also keeps the
//! catalogue's state, folded a second time beside the table that everybody reads: so the table
//! never depends on who commits it.

use crate::catalog_fold::CatalogFold;
use crate::epochs::Epochs;
use crate::error::StreamError;
use crate::processor::{Processor, start_worker};
use crate::progress::{Phase, Progress};
use crate::worker::Surroundings;
use nowcast_store::{Catalog, ChainId, Epoch};
use nowcast_types::{Offset, PartitionId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// The partition whose owner keeps the catalogue.
const CATALOG_GOES_WITH: PartitionId = PartitionId(0);

/// A partition that is folded here until it is released.
pub(crate) struct Owned {
    epoch: Epoch,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// How a partition that was given is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// Which.
    pub partition: PartitionId,
    /// As which owner it is folded.
    pub epoch: Epoch,
    /// The position of its newest commit.
    pub durable: Offset,
    /// Whether the store has refused the owner, because a newer one has taken over.
    pub is_fenced: bool,
}

impl Processor {
    /// Folds a partition from now on, as the owner of an epoch above all before. One that is
    /// folded already goes on under the new epoch.
    ///
    /// # Errors
    /// [`StreamError::Config`] without such a partition; no thread to be had.
    pub fn acquire(&self, partition: PartitionId, epoch: Epoch) -> Result<(), StreamError> {
        self.release(partition);
        let no_partition = || StreamError::Config(format!("there is no partition {}", partition.0));
        let progress = self.progress_of(partition).ok_or_else(no_partition)?;
        progress.begin();
        let stop = Arc::new(AtomicBool::new(false));
        let around = Surroundings {
            epochs: Epochs::same(epoch),
            stop: stop.clone(),
            ..self.around.clone()
        };
        let mut owned = Owned {
            epoch,
            stop,
            threads: Vec::new(),
        };
        if partition == CATALOG_GOES_WITH {
            let fold = CatalogFold::new(Arc::new(Catalog::new()));
            let progress = Arc::new(Progress::new());
            let keeper = start_worker(ChainId::CATALOG, fold, around.clone(), &progress)?;
            owned.threads.push(keeper);
        }
        let fold = self.events_fold(partition);
        let started = start_worker(ChainId::events(partition), fold, around, progress);
        let outcome = started.map(|thread| owned.threads.push(thread));
        self.owned.lock().insert(partition, owned);
        outcome
    }

    /// Commits what is folded of a partition, if its store still takes it, and folds it no more.
    /// Returns when that is done.
    pub fn release(&self, partition: PartitionId) {
        let Some(owned) = self.owned.lock().remove(&partition) else {
            return;
        };
        owned.stop.store(true, Ordering::Release);
        for thread in owned.threads {
            if thread.join().is_err() {
                tracing::error!("a fold thread has panicked");
            }
        }
        if let Some(progress) = self.progress_of(partition) {
            self.forget(partition);
            progress.set_stall(None);
            progress.set_phase(Phase::Elsewhere);
        }
    }

    pub(crate) fn release_all(&self) {
        let all: Vec<PartitionId> = self.owned.lock().keys().copied().collect();
        for partition in all {
            self.release(partition);
        }
    }

    /// The partitions that were given and not taken back, in their order.
    #[must_use]
    pub fn holdings(&self) -> Vec<Holding> {
        let owned = self.owned.lock();
        let holding = |(partition, owned): (&PartitionId, &Owned)| {
            let progress = self.progress_of(*partition);
            Holding {
                partition: *partition,
                epoch: owned.epoch,
                durable: progress.map_or(0, |progress| progress.durable()),
                is_fenced: progress.is_some_and(|progress| progress.is_fenced()),
            }
        };
        owned.iter().map(holding).collect()
    }
}
