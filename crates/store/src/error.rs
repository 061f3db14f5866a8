//! What can go wrong in a store.

use crate::checkpoint::ChainId;
use crate::state::Epoch;
use nowcast_disk::DiskError;
use nowcast_types::{ErrorKind, Offset};

/// An error of a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file layer failed; whether the write happened is unknown.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Stored bytes are damaged or contradict each other; nothing of them was used.
    #[error("{what} is damaged: {detail}")]
    Corrupt {
        /// The file or thing.
        what: String,
        /// What gave it away.
        detail: String,
    },
    /// The thing named does not exist.
    #[error("{what} `{name}` does not exist; there are: {known}")]
    NotFound {
        /// Its kind.
        what: &'static str,
        /// Its name.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// The call clashes with what is stored.
    #[error("{0}")]
    Conflict(String),
    /// The chain has another owner now: whoever sent this must stop.
    #[error("{}-{}: epoch {owner} owns it, epoch {epoch} is dismissed", chain.stream.name(), chain.partition.0)]
    Fenced {
        /// Which chain.
        chain: ChainId,
        /// Who was refused.
        epoch: Epoch,
        /// Who owns the chain.
        owner: Epoch,
    },
    /// What is stored is not what the commit follows: load again and go on from there.
    #[error(
        "{}-{}: a commit from {follows:?} to {position} does not follow the stored position {stored:?}",
        chain.stream.name(), chain.partition.0
    )]
    Stale {
        /// Which chain.
        chain: ChainId,
        /// The position that the commit follows.
        follows: Option<Offset>,
        /// The position that it leads to.
        position: Offset,
        /// The position that is stored.
        stored: Option<Offset>,
    },
    /// The store is away, slow or full; whether a write happened is unknown.
    #[error("{what} is not available: {detail}")]
    Unavailable {
        /// Which store.
        what: String,
        /// What it or the connection said.
        detail: String,
    },
    /// The caller's data is wrong.
    #[error("{0}")]
    Invalid(String),
}

impl StoreError {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Disk(error) => error.kind(),
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Conflict(_) | Self::Fenced { .. } | Self::Stale { .. } => ErrorKind::Conflict,
            Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Invalid(_) => ErrorKind::InvalidInput,
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Corrupt {
            what: what.into(),
            detail: detail.into(),
        }
    }
}
