//! Where the state of partitions outlives the process: one trait for embedded and remote stores.
//!
//! A chain's state and the log position it reflects change together in one [`StateStore::commit`],
//! or not at all. Each owner of a chain has an epoch; a claim of a higher one shuts all lower ones
//! out, and each commit says which position it follows, so that neither an owner that slept through
//! its dismissal nor a store that lost its newest commits can mix two histories.
//!
//! It is not a key-value interface: what the sections mean is the business of whoever folds.

use crate::checkpoint::{ChainId, Compacted, Damage};
use crate::error::StoreError;
use nowcast_types::Offset;

/// Which owner of a chain: each takeover has a higher one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A state as it was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The log position that it reflects: the next offset to fold.
    pub position: Offset,
    /// Its sections in blobs, oldest first: of each key the last counts.
    pub blobs: Vec<Vec<u8>>,
}

/// What the reader of a saved state makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on from here.
    Accept,
    /// The bytes say nothing usable, and why; an older state may do.
    Unfit(String),
    /// The state means nothing any more; it begins anew.
    Discard,
}

/// How a load ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The position of the accepted state; `None` if the owner begins with nothing.
    pub position: Option<Offset>,
    /// What was found wrong on the way.
    pub damage: Vec<Damage>,
}

/// What a commit writes.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// The sections that changed since the commit before, as one blob.
    Delta(&'a [u8]),
    /// The whole state, in blobs; replaces all that is there.
    Full(&'a [&'a [u8]]),
}

/// One commit of one chain.
#[derive(Debug, Clone, Copy)]
pub struct Commit<'a> {
    /// Who commits.
    pub epoch: Epoch,
    /// The position that must be stored now: that of the commit before or of the load; `None` if
    /// nothing was stored. A full commit follows anything.
    pub follows: Option<Offset>,
    /// The position that the state reflects afterwards, above the one before.
    pub position: Offset,
    /// What changed.
    pub content: Content<'a>,
}

/// Keeps the states of chains. All calls block; calls for different chains may run side by side.
pub trait StateStore: Send + Sync {
    /// Makes `epoch` the owner of a chain: from now on commits of lower epochs are refused.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if a higher epoch owns the chain; IO.
    fn claim(&self, chain: ChainId, epoch: Epoch) -> Result<(), StoreError>;

    /// Claims a chain and shows `judge` its states, best first, until one is accepted or discarded.
    /// Must precede the first commit of an owner, and follow each [`StoreError::Stale`].
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if a higher epoch owns the chain; IO.
    fn load(
        &self,
        chain: ChainId,
        epoch: Epoch,
        judge: &mut dyn FnMut(Saved) -> Verdict,
    ) -> Result<Loaded, StoreError>;

    /// Makes sections and position durable, all or nothing.
    ///
    /// An error of kind `Unavailable` leaves open whether it happened: the same commit may be sent
    /// again and counts once, unless [`Self::needs_full`] asks for a full one instead.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if a higher epoch owns the chain, [`StoreError::Stale`] if what is
    /// stored is not what the commit follows; IO.
    fn commit(&self, chain: ChainId, commit: &Commit<'_>) -> Result<(), StoreError>;

    /// Whether only a full commit can go on: what was stored is lost or cannot be built on.
    fn needs_full(&self, chain: ChainId) -> bool;

    /// Looks whether the store still has what was committed last, for owners that have nothing to
    /// commit and would not notice otherwise. A store that cannot lose anything need not look.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if something else is stored; IO.
    fn look(&self, _chain: ChainId, _committed: Offset) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether [`Self::compact`] is worth its effort now.
    fn wants_compaction(&self, _chain: ChainId) -> bool {
        false
    }

    /// Rewrites what is stored of a chain in less space; `None` if there is nothing to gain.
    ///
    /// # Errors
    /// IO; [`StoreError::Corrupt`] if damage was found.
    fn compact(&self, _chain: ChainId) -> Result<Option<Compacted>, StoreError> {
        Ok(None)
    }

    /// Bytes of log that may be folded beyond the commit under way before the fold waits for it;
    /// `None` for no limit. Bounds the size of the next commit when the store is slow.
    fn backlog_bytes_max(&self) -> Option<u64> {
        None
    }

    /// Whether other processes answer from what is committed. Then a commit is on the way from a
    /// click to a changed answer, and is hurried; else it only spares the next start some work.
    fn is_read_elsewhere(&self) -> bool {
        false
    }

    /// Whether ids of events are appended to what is stored, so that chunks need no names of their
    /// own. Decides how a fold encodes its deltas.
    fn appends_dedup(&self) -> bool {
        false
    }
}
