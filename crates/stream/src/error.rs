//! What can stop the processor, or one partition of it.

use nowcast_features::FeaturesError;
use nowcast_log::LogError;
use nowcast_store::{ChainId, StoreError};
use nowcast_types::{ErrorKind, Offset};

/// An error of the processor.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The fold's configuration or state makes no sense.
    #[error(transparent)]
    Features(#[from] FeaturesError),
    /// The configuration makes no sense.
    #[error("stream configuration: {0}")]
    Config(String),
    /// The checkpoint reflects records that the log does not have: the log has lost some.
    #[error(
        "{}: the checkpoint reflects the log up to {position}, but the log ends at {end}; restore the \
         log, or remove the checkpoints to accept the loss and rebuild from the log", name(*chain)
    )]
    AheadOfLog {
        /// Which partition.
        chain: ChainId,
        /// The checkpoint's position.
        position: Offset,
        /// The log's end.
        end: Offset,
    },
    /// The log no longer has the records that follow the newest sound state.
    #[error(
        "{}: the newest sound state reflects the log up to {position}, but the log begins at \
         {earliest}; restore a checkpoint, or remove the checkpoints to rebuild from what the log has",
        name(*chain)
    )]
    BehindLog {
        /// Which partition.
        chain: ChainId,
        /// The position of the newest sound state; 0 if there is none.
        position: Offset,
        /// The log's first offset.
        earliest: Offset,
    },
    /// A record of the log does not decode although its checksum holds.
    #[error("{}: the record at {offset} does not decode: {detail}", name(*chain))]
    BadRecord {
        /// Which partition.
        chain: ChainId,
        /// The record.
        offset: Offset,
        /// Why.
        detail: String,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl StreamError {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Log(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Features(error) => error.kind(),
            Self::Config(_) => ErrorKind::InvalidInput,
            Self::AheadOfLog { .. } | Self::BehindLog { .. } | Self::BadRecord { .. } => {
                ErrorKind::Corrupt
            }
            Self::Thread(_) => ErrorKind::Unavailable,
        }
    }
}

fn name(chain: ChainId) -> String {
    format!("{}-{}", chain.stream.name(), chain.partition.0)
}
