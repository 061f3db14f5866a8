//! What can go wrong with schemas and registries, beyond faults of single messages.

use crate::fault::Fault;
use nowcast_types::ErrorKind;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A message of a foreign producer cannot be used.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The registry did not answer, or answered that it cannot at present.
    #[error("schema registry {url}: {reason}")]
    Unavailable {
        /// What was asked, without credentials.
        url: String,
        /// Why there is no answer.
        reason: String,
    },
    /// The registry refused the call.
    #[error("schema registry refused ({error_code}): {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The registry's own code, such as 40401.
        error_code: u32,
        /// The registry's words.
        message: String,
    },
    /// The registry answered with something that is not its API.
    #[error("schema registry {url}: {reason}")]
    BadAnswer {
        /// What was asked, without credentials.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The settings contradict each other.
    #[error("schema registry settings: {0}")]
    BadConfig(String),
    /// A stored change of the built-in registry is damaged or makes no sense.
    #[error("registry change {place}: {reason}")]
    BadChange {
        /// Its place in the log, from 0.
        place: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The log of the built-in registry takes no more changes.
    #[error("registry log: {0}")]
    LogUnavailable(String),
}

impl SchemaError {
    /// The classification callers act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Fault(_) | Self::BadConfig(_) => ErrorKind::InvalidInput,
            Self::Unavailable { .. } | Self::LogUnavailable(_) => ErrorKind::Unavailable,
            Self::Refused { status: 404, .. } => ErrorKind::NotFound,
            Self::Refused { status: 409, .. } => ErrorKind::Conflict,
            Self::Refused { .. } | Self::BadAnswer { .. } => ErrorKind::InvalidInput,
            Self::BadChange { .. } => ErrorKind::Corrupt,
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind().is_retryable()
    }
}
