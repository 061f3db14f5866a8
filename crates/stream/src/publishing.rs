//! A store that tells followers of each commit: first the commit, then the word of it.
//!
//! The word may be lost (a crash in between, brokers away); followers notice that it is missing by
//! the position the next one follows, or by looking at the store, and read the store then.

use crate::delta::{Delta, HEADER_LEN};
use nowcast_features::PartitionReplica;
use nowcast_log::{AppendAck, ChangeFeed};
use nowcast_store::{
    ChainId, Commit, Compacted, Content, Epoch, Loaded, Saved, StateStore, StoreError, Verdict,
};
use nowcast_types::{Offset, Stream};
use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A [`StateStore`] with a [`ChangeFeed`] behind it.
pub struct PublishingStore {
    inner: Arc<dyn StateStore>,
    feed: Arc<dyn ChangeFeed>,
    /// Entries on their way; looked at when the next one follows.
    sent: Mutex<Vec<AppendAck>>,
    lost: metrics::Counter,
}

impl PublishingStore {
    /// Publishes the commits of `inner` to `feed`.
    #[must_use]
    pub fn new(inner: Arc<dyn StateStore>, feed: Arc<dyn ChangeFeed>) -> Self {
        Self {
            inner,
            feed,
            sent: Mutex::default(),
            lost: metrics::counter!("nowcast_deltas_lost_total"),
        }
    }

    fn publish(&self, chain: ChainId, delta: &Delta<'_>) {
        let ack = self.feed.publish(chain.partition, &delta.encode());
        let mut sent = self.sent.lock();
        sent.retain_mut(|ack| {
            let mut context = Context::from_waker(Waker::noop());
            match Pin::new(ack).poll(&mut context) {
                Poll::Pending => true,
                Poll::Ready(Ok(_)) => false,
                Poll::Ready(Err(error)) => {
                    self.lost.increment(1);
                    tracing::warn!(%error, "followers were not told of a commit");
                    false
                }
            }
        });
        sent.push(ack);
    }

    /// Tells of a position whose rows are to be read from the store.
    fn publish_position(&self, chain: ChainId, epoch: Epoch, position: Offset) {
        self.publish(
            chain,
            &Delta {
                epoch,
                position,
                follows: None,
                rows: None,
            },
        );
    }

    fn publish_commit(&self, chain: ChainId, commit: &Commit<'_>) {
        let Content::Delta(blob) = commit.content else {
            return self.publish_position(chain, commit.epoch, commit.position);
        };
        let mut rows = Vec::new();
        let is_whole = PartitionReplica::item_side(blob, &mut rows).is_ok();
        if !is_whole || rows.len() + HEADER_LEN > self.feed.entry_bytes_max() {
            return self.publish_position(chain, commit.epoch, commit.position);
        }
        self.publish(
            chain,
            &Delta {
                epoch: commit.epoch,
                position: commit.position,
                follows: commit.follows,
                rows: Some(&rows),
            },
        );
    }
}

impl StateStore for PublishingStore {
    fn claim(&self, chain: ChainId, epoch: Epoch) -> Result<(), StoreError> {
        self.inner.claim(chain, epoch)
    }

    fn load(
        &self,
        chain: ChainId,
        epoch: Epoch,
        judge: &mut dyn FnMut(Saved) -> Verdict,
    ) -> Result<Loaded, StoreError> {
        let loaded = self.inner.load(chain, epoch, judge)?;
        // The owner before may have ended between its last commit and the word of it.
        if chain.stream == Stream::Events
            && let Some(position) = loaded.position
        {
            self.publish_position(chain, epoch, position);
        }
        Ok(loaded)
    }

    fn commit(&self, chain: ChainId, commit: &Commit<'_>) -> Result<(), StoreError> {
        self.inner.commit(chain, commit)?;
        if chain.stream == Stream::Events {
            self.publish_commit(chain, commit);
        }
        Ok(())
    }

    fn look(&self, chain: ChainId, committed: Offset) -> Result<(), StoreError> {
        self.inner.look(chain, committed)
    }

    fn needs_full(&self, chain: ChainId) -> bool {
        self.inner.needs_full(chain)
    }

    fn wants_compaction(&self, chain: ChainId) -> bool {
        self.inner.wants_compaction(chain)
    }

    fn compact(&self, chain: ChainId) -> Result<Option<Compacted>, StoreError> {
        self.inner.compact(chain)
    }

    fn backlog_bytes_max(&self) -> Option<u64> {
        self.inner.backlog_bytes_max()
    }

    fn is_read_elsewhere(&self) -> bool {
        self.inner.is_read_elsewhere()
    }

    fn appends_dedup(&self) -> bool {
        self.inner.appends_dedup()
    }
}
