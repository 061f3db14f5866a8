//! What can go wrong with files. Each error names the operation and the path.

use nowcast_types::ErrorKind;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An error of the file layer; cheap to clone, because one failed sync answers many callers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DiskError {
    /// The operating system refused or failed.
    #[error("{operation} {}: {source}", path.display())]
    Io {
        /// What was tried, such as `open` or `sync_data`.
        operation: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// Another process (or another value in this one) holds the lock.
    #[error("{} is locked by another process", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
}

impl DiskError {
    /// Wraps an IO error with what was tried.
    #[must_use]
    pub fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            operation,
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }

    /// The classification callers act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorKind::NotFound
            }
            Self::Io { .. } => ErrorKind::Unavailable,
            Self::Locked { .. } => ErrorKind::Conflict,
        }
    }

    /// Whether the file or folder does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Whether the disk is full, which passes when space is freed.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ))
    }
}
