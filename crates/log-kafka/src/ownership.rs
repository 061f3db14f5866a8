//! Who folds which event partition, and the epoch that fences those who did before.
//!
//! A consumer group (cooperative-sticky, on the events topic, every partition paused: nothing is
//! fetched) decides who *may* own a partition. Its word travels with the clock of heartbeats, so a
//! frozen member may believe for a while that it still owns what another has. Hence each new owner
//! appends a claim to the partition's place in the control topic and takes the claim's offset as
//! its epoch. Offsets only grow and are given once, so of any two owners one has the lower epoch,
//! and a store that refuses epochs below the highest it has seen refuses the older one's writes.
//!
//! A claim that took long to be answered is thrown away and made again: between the group's word
//! and the claim's answer the process may have been frozen and replaced. Should an outdated claim
//! win that race all the same, the rightful owner is refused by the store once, and
//! [`Ownership::reclaim`] puts it in front again.

mod member;

use crate::config::KafkaConfig;
use crate::error::KafkaLogError;
use crate::kafka_log::KafkaLog;
use crate::topics::Topic;
use member::{Member, MemberLink};
use nowcast_log::AppendAck;
use nowcast_types::{Offset, PartitionId, Span, Stream};
use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

/// The place of an owner in the order of all owners of a partition; from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// The answer to [`Ownership::claim`].
#[derive(Debug)]
#[must_use = "a claim holds only once it is answered"]
pub struct ClaimAck(AppendAck);

impl ClaimAck {
    /// Blocks until the brokers have the claim; its epoch is above all before.
    ///
    /// # Errors
    /// When they do not take it in time.
    pub fn wait(self) -> Result<Epoch, KafkaLogError> {
        // The offset of the claim counts from 0, epochs from 1.
        Ok(Epoch(self.0.wait()?.end))
    }
}

/// How the processes of one role share the partitions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OwnershipConfig {
    /// The group is named `<topic_prefix>.<role>`; lag tools show it.
    pub role: String,
    /// A member that is silent for so long is replaced. Brokers refuse less than their
    /// `group.min.session.timeout.ms`, 6s unless changed.
    pub session_timeout: Span,
    /// How often a member is heard; at most a third of the session.
    pub heartbeat: Span,
}

impl Default for OwnershipConfig {
    fn default() -> Self {
        Self {
            role: "process".to_owned(),
            session_timeout: Span(6_000),
            heartbeat: Span(1_000),
        }
    }
}

impl OwnershipConfig {
    fn check(&self) -> Result<(), KafkaLogError> {
        let bad = |what: &str| Err(KafkaLogError::Config(format!("log.kafka.ownership.{what}")));
        if self.role.is_empty() {
            return bad("role: is empty");
        }
        if self.heartbeat.ms() < 100 || self.heartbeat.ms() * 3 > self.session_timeout.ms() {
            return bad("heartbeat: must be from 100ms to a third of `session_timeout`");
        }
        Ok(())
    }
}

/// Why a partition is no longer ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Another member takes it over, but not before [`OwnershipHandler::lost`] returns: there is
    /// time to commit.
    Revoked,
    /// The group went on without us: another may own it already. Commits are likely refused.
    Expired,
    /// This ownership is being stopped; the group is told afterwards, so there is time to commit.
    Stopped,
}

/// What is told about partitions that come and go. Called by one thread, one call at a time.
pub trait OwnershipHandler: Send {
    /// The partition is ours, under an epoch above all before. Called again with a higher epoch
    /// after [`Ownership::reclaim`].
    fn acquired(&mut self, partition: PartitionId, epoch: Epoch);

    /// The partition is not ours any more once this returns.
    fn lost(&mut self, partition: PartitionId, epoch: Epoch, loss: Loss);
}

/// What a member holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holding {
    /// The group gave it to us; a claim is on its way.
    Claiming {
        /// Which giving it was: a claim made for an earlier one is void.
        grant: u64,
        /// The epoch we hold meanwhile, if this is a claim for a higher one.
        held: Option<Epoch>,
    },
    /// Ours.
    Owned(Epoch),
}

impl Holding {
    const fn epoch(self) -> Option<Epoch> {
        match self {
            Self::Claiming { held, .. } => held,
            Self::Owned(epoch) => Some(epoch),
        }
    }
}

/// State that the callers' and the member's thread share.
#[derive(Debug, Default)]
struct Shared {
    holdings: Mutex<BTreeMap<u16, Holding>>,
    reclaims: Mutex<Vec<u16>>,
    grants: AtomicU64,
    is_stopping: AtomicBool,
}

impl Shared {
    fn new_claim(&self, held: Option<Epoch>) -> Holding {
        let grant = self.grants.fetch_add(1, Ordering::Relaxed);
        Holding::Claiming { grant, held }
    }
}

/// Membership in the group that shares the event partitions. Dropping it leaves the group.
pub struct Ownership {
    log: Arc<KafkaLog>,
    consumer: Arc<BaseConsumer<MemberLink>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Ownership {
    /// Joins the group; what it gives is told to `handler`.
    ///
    /// # Errors
    /// Settings that cannot work; a client that cannot be made.
    pub fn start(
        log: Arc<KafkaLog>,
        config: &OwnershipConfig,
        handler: Box<dyn OwnershipHandler>,
    ) -> Result<Self, KafkaLogError> {
        config.check()?;
        let shared = Arc::new(Shared::default());
        let member = Member::join(log.clone(), config, handler, shared.clone())?;
        let consumer = member.consumer();
        let builder = thread::Builder::new().name("kafka-member".to_owned());
        let thread = builder.spawn(move || member.run()).map_err(|error| {
            KafkaLogError::Config(format!("no thread for the group member: {error}"))
        })?;
        Ok(Self {
            log,
            consumer,
            shared,
            thread: Some(thread),
        })
    }

    /// The partitions that are ours now, with their epochs.
    #[must_use]
    pub fn owned(&self) -> Vec<(PartitionId, Epoch)> {
        let holdings = self.shared.holdings.lock();
        holdings
            .iter()
            .filter_map(|(partition, holding)| Some((PartitionId(*partition), holding.epoch()?)))
            .collect()
    }

    /// Asks for a higher epoch of a partition that is ours: for an owner that a store has refused
    /// although it was not told of a loss. The answer is [`OwnershipHandler::acquired`].
    pub fn reclaim(&self, partition: PartitionId) {
        self.shared.reclaims.lock().push(partition.0);
    }

    /// Claims a partition outside of any group, for a process that is to have all of them: it takes
    /// over from whoever had it, and the next claim takes over from it.
    pub fn claim(log: &KafkaLog, partition: PartitionId) -> ClaimAck {
        ClaimAck(member::append_claim(log, partition.0))
    }

    /// The highest epoch that anyone has claimed for a partition; `Epoch(0)` for none. One below
    /// it has been replaced.
    ///
    /// # Errors
    /// When the brokers do not say.
    pub fn latest_epoch(log: &KafkaLog, partition: PartitionId) -> Result<Epoch, KafkaLogError> {
        Ok(Epoch(log.entry_bounds(Topic::Control, partition)?.end))
    }

    /// Tells the broker how far a partition of ours is folded, for tools that show lag. Nothing
    /// here reads it back, and it does not wait for an answer.
    ///
    /// # Errors
    /// When the client takes no more; the position it has told before stays.
    pub fn commit_for_tools(
        &self,
        partition: PartitionId,
        offset: Offset,
    ) -> Result<(), KafkaLogError> {
        let failed = KafkaLogError::client;
        let stream = Stream::Events;
        let end = self.log.known_end(Topic::Stream(stream), partition);
        let lag = end.saturating_sub(offset);
        metrics::gauge!("nowcast_kafka_folded_lag_records", "partition" => partition.0.to_string())
            .set(lag as f64);
        let mut list = TopicPartitionList::new();
        let topic = Topic::Stream(stream).name(&self.log.config().topic_prefix);
        let position = KafkaOffset::Offset(offset as i64);
        list.add_partition_offset(&topic, i32::from(partition.0), position)
            .map_err(failed("name a position"))?;
        self.consumer
            .commit(&list, CommitMode::Async)
            .map_err(failed("commit a position"))
    }

    /// Gives everything back and leaves the group; returns when the handler knows.
    pub fn stop(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.shared.is_stopping.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the group member panicked");
        }
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The name of the group.
fn group(config: &KafkaConfig, role: &str) -> String {
    format!("{}.{role}", config.topic_prefix)
}
