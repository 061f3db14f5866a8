//! What can be read of chains that somebody else owns.
//!
//! Readers claim nothing and change nothing. What they read is as old as the owner's last commit,
//! and for all but [`StateReader::user`] it may be mixed with parts of the next.

use crate::checkpoint::ChainId;
use crate::error::StoreError;
use crate::state::{Epoch, Saved};
use nowcast_types::{Offset, UserKey};
use std::pin::Pin;

/// The stored section of a user, when it comes.
pub type SectionRead<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Vec<u8>>, StoreError>> + Send + 'a>>;

/// Who owns a chain and how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// The highest epoch that has claimed it; 0 for none.
    pub epoch: Epoch,
    /// The position of the last commit; `None` if nothing is stored.
    pub position: Option<Offset>,
}

/// The item side of a chain at one moment or a little later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRows {
    /// The position of the last commit before the reading began: what later commits changed must
    /// be applied on top, whether or not some of it is already here. `None` if nothing is stored.
    pub position: Option<Offset>,
    /// The rows, as one blob.
    pub blob: Vec<u8>,
}

/// Reads the states of chains without owning them.
pub trait StateReader: Send + Sync {
    /// A user's section; `None` if nothing is stored. One round trip, and short: a caller waits
    /// for it with a request in its hands.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there is no answer in time.
    fn user(&self, chain: ChainId, user: &UserKey) -> Result<Option<Vec<u8>>, StoreError>;

    /// As [`Self::user`], for tasks: the thread does other things until the answer comes.
    fn user_awaited(&self, chain: ChainId, user: UserKey) -> SectionRead<'_>;

    /// All rows but users and event ids, for a replica to begin with.
    ///
    /// # Errors
    /// The store is away, or what it has is damaged.
    fn item_rows(&self, chain: ChainId) -> Result<ItemRows, StoreError>;

    /// The whole state as of one commit; `None` if nothing is stored.
    ///
    /// # Errors
    /// The store is away, what it has is damaged, or its owner commits faster than it can be read.
    fn whole(&self, chain: ChainId) -> Result<Option<Saved>, StoreError>;

    /// Who owns a chain and how far it is.
    ///
    /// # Errors
    /// The store is away.
    fn standing(&self, chain: ChainId) -> Result<Standing, StoreError>;
}
