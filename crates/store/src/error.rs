//! What can go wrong in a store.

use nowcast_disk::DiskError;
use nowcast_types::ErrorKind;

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
            Self::Conflict(_) => ErrorKind::Conflict,
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
