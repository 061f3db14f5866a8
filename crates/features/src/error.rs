//! What can go wrong here: a configuration that makes no sense, and a checkpoint that cannot be
//! used. Folding itself cannot fail; what it cannot use it counts (see [`crate::Outcome`]).

use nowcast_types::ErrorKind;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum FeaturesError {
    /// A key of the fold's configuration has a value that makes no sense.
    #[error("{key}: {problem}")]
    Config {
        /// The key, such as `affinity.half_life` or `views.item_ctr_1h.window`.
        key: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The checkpoint was written under another fold configuration: rebuild by replay.
    #[error(
        "the checkpoint was written under fold plan {stored:016x}, the configuration is now \
         {current:016x}: rebuild the state by replaying the log"
    )]
    PlanChanged {
        /// Fingerprint in the checkpoint.
        stored: u64,
        /// Fingerprint of the present plan.
        current: u64,
    },
    /// Checkpoint bytes do not decode.
    #[error("checkpoint bytes are damaged: {0}")]
    Corrupt(&'static str),
}

impl FeaturesError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Config { .. } => ErrorKind::InvalidInput,
            Self::PlanChanged { .. } => ErrorKind::Conflict,
            Self::Corrupt(_) => ErrorKind::Corrupt,
        }
    }

    pub(crate) fn config(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config {
            key: key.into(),
            problem: problem.into(),
        }
    }
}
