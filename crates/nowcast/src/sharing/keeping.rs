//! Folding the partitions that the group gives, for as long as it gives them.

use nowcast_log_kafka::{
    Epoch, KafkaLog, KafkaLogError, Loss, Ownership, OwnershipConfig, OwnershipHandler,
};
use nowcast_stream::Processor;
use nowcast_types::PartitionId;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often owners are looked after, and the broker is told how far they are.
const BEAT: Duration = Duration::from_millis(250);

/// Membership in the group of those who fold, until stopped.
pub struct Keeping {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

/// Passes the group's word on to the processor.
struct Keeper(Arc<Processor>);

impl OwnershipHandler for Keeper {
    fn acquired(&mut self, partition: PartitionId, epoch: Epoch) {
        let epoch = nowcast_store::Epoch(epoch.0);
        if let Err(error) = self.0.acquire(partition, epoch) {
            tracing::error!(partition = partition.0, %error, "a partition is not folded");
        }
    }

    fn lost(&mut self, partition: PartitionId, _epoch: Epoch, loss: Loss) {
        tracing::info!(partition = partition.0, ?loss, "a partition goes elsewhere");
        self.0.release(partition);
    }
}

impl Keeping {
    /// Joins the group.
    ///
    /// # Errors
    /// The client cannot be made; no thread to be had.
    pub fn start(log: &Arc<KafkaLog>, processor: &Arc<Processor>) -> Result<Self, KafkaLogError> {
        let handler = Box::new(Keeper(Arc::clone(processor)));
        let config = OwnershipConfig::default();
        let ownership = Ownership::start(Arc::clone(log), &config, handler)?;
        let (stop, stopped) = channel();
        let processor = Arc::clone(processor);
        let thread = std::thread::Builder::new()
            .name("keeping".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                    look_after(&ownership, &processor);
                }
                ownership.stop();
            })
            .map_err(|error| KafkaLogError::Config(format!("no thread: {error}")))?;
        Ok(Self { stop, thread })
    }

    /// Commits and gives everything back, then leaves the group.
    pub fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the thread that looks after partitions has panicked");
        }
    }
}

/// An owner that the store refuses although the group has not taken its partition asks to be put
/// in front again.
fn look_after(ownership: &Ownership, processor: &Processor) {
    let held = ownership.owned();
    for holding in processor.holdings() {
        let is_ours = |(partition, epoch): &(PartitionId, Epoch)| {
            *partition == holding.partition && epoch.0 == holding.epoch.0
        };
        if !held.iter().any(is_ours) {
            continue;
        }
        if holding.is_fenced {
            tracing::warn!(partition = holding.partition.0, "claiming a partition anew");
            ownership.reclaim(holding.partition);
        } else if let Err(error) = ownership.commit_for_tools(holding.partition, holding.durable) {
            tracing::debug!(%error, "the broker was not told a position");
        }
    }
}
