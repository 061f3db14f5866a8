//! What can go wrong with a log.

use nowcast_disk::DiskError;
use nowcast_types::{ErrorKind, Offset, PartitionId, Stream};
use std::path::PathBuf;

/// An error of the log; cheap to clone, because one failed commit answers many appends.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The partition's queue is full.
    #[error("{stream}-{partition} has {queued_bytes} bytes waiting to be committed", stream = .stream.name(), partition = .partition.0)]
    Overloaded {
        /// Which stream.
        stream: Stream,
        /// Which of its partitions.
        partition: PartitionId,
        /// Bytes in the queue.
        queued_bytes: usize,
    },
    /// The partition takes no more appends: its disk failed, or the log is closing.
    #[error("{stream}-{partition} takes no appends: {reason}", stream = .stream.name(), partition = .partition.0)]
    Unavailable {
        /// Which stream.
        stream: Stream,
        /// Which of its partitions.
        partition: PartitionId,
        /// Why, and whether a restart may help.
        reason: String,
    },
    /// A broker did not do its part, for a topic that is not one of the streams.
    #[error("{topic}-{partition}: {reason}")]
    Broker {
        /// Which topic.
        topic: String,
        /// Which of its partitions.
        partition: u16,
        /// Why.
        reason: String,
    },
    /// A batch cannot be appended, however often it is tried.
    #[error("batch refused: {0}")]
    BadBatch(String),
    /// The settings contradict each other or the format.
    #[error("log settings: {0}")]
    BadConfig(String),
    /// The offset is no longer, or not yet, in the log.
    #[error("offset {offset} is outside {earliest}..={end}")]
    OutOfRange {
        /// What was asked for.
        offset: Offset,
        /// The first offset there is.
        earliest: Offset,
        /// The offset that the next record will get.
        end: Offset,
    },
    /// There is no such partition.
    #[error("{stream} has no partition {partition}", stream = .stream.name(), partition = .partition.0)]
    NoPartition {
        /// Which stream.
        stream: Stream,
        /// The partition asked for.
        partition: PartitionId,
    },
    /// The folder holds a log that this configuration does not fit, or another process has it.
    #[error("{}: {detail}", path.display())]
    Conflict {
        /// The folder or file.
        path: PathBuf,
        /// What disagrees.
        detail: String,
    },
    /// Persisted bytes are damaged.
    #[error("{} is damaged at byte {position}: {detail}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it, in bytes.
        position: u64,
        /// What is wrong.
        detail: String,
    },
    /// Bytes inside a sound frame are not a record.
    #[error("not a record: {0}")]
    BadRecord(&'static str),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl LogError {
    /// The classification callers act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Overloaded { .. } | Self::Unavailable { .. } | Self::Broker { .. } => {
                ErrorKind::Unavailable
            }
            Self::BadBatch(_) | Self::BadConfig(_) | Self::NoPartition { .. } => {
                ErrorKind::InvalidInput
            }
            Self::OutOfRange { .. } => ErrorKind::NotFound,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Corrupt { .. } | Self::BadRecord(_) => ErrorKind::Corrupt,
            Self::Disk(error) => error.kind(),
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind().is_retryable()
    }
}
