//! What can go wrong in an engine, with the part that failed named once.

use nowcast_disk::DiskError;
use nowcast_features::FeaturesError;
use nowcast_log::LogError;
use nowcast_recommend::RecommendError;
use nowcast_store::StoreError;
use nowcast_stream::StreamError;
use nowcast_types::{ErrorKind, Refusal};
use std::path::PathBuf;
use thiserror::Error;

/// An engine's error.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The caller's data broke a rule.
    #[error("{0}")]
    Refused(Refusal),
    /// The thing named does not exist.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// The kind of thing, such as `item`.
        what: &'static str,
        /// Its id, cut to 64 characters; empty where it must not be repeated.
        id: String,
    },
    /// The key of the pseudonyms cannot be used.
    #[error("pseudonym key {}: {reason}", path.display())]
    PseudonymKey {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// The configuration is wrong.
    #[error("configuration: {0}")]
    Config(String),
    /// The engine is full or not ready; the same call may succeed later.
    #[error("{0}")]
    Unavailable(String),
    /// The disk failed.
    #[error("disk: {0}")]
    Disk(#[from] DiskError),
    /// The log failed.
    #[error("log: {0}")]
    Log(#[from] LogError),
    /// A store failed.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// A log or store that the opener of the engine chose cannot be opened.
    #[error("{what}: {source}")]
    Backend {
        /// Which one, as the settings call it.
        what: &'static str,
        /// What a caller can do about it.
        kind: ErrorKind,
        /// What it said, without credentials.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The fold's configuration makes no sense.
    #[error("fold: {0}")]
    Features(#[from] FeaturesError),
    /// The processor failed.
    #[error("processor: {0}")]
    Stream(#[from] StreamError),
    /// An invariant of ours broke.
    #[error("bug: {0}")]
    Bug(String),
    /// The request cannot be answered.
    #[error("{0}")]
    Recommend(RecommendError),
}

impl EngineError {
    /// The classification callers act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(_) | Self::Config(_) => ErrorKind::InvalidInput,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::PseudonymKey { .. } => ErrorKind::Corrupt,
            Self::Backend { kind, .. } => *kind,
            Self::Unavailable(_) => ErrorKind::Unavailable,
            Self::Disk(error) => error.kind(),
            Self::Log(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Features(error) => error.kind(),
            Self::Stream(error) => error.kind(),
            Self::Bug(_) => ErrorKind::Bug,
            Self::Recommend(error) => error.kind(),
        }
    }
}
