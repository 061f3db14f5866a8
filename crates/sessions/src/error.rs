//! What can go wrong.

use nowcast_types::ErrorKind;

/// An error of the session store.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The settings make no sense.
    #[error("{0}")]
    Config(String),
    /// The server is away or slow; whether a write happened is unknown.
    #[error("memcached at {address} is not available: {detail}")]
    Unavailable {
        /// Where it should be.
        address: String,
        /// What happened.
        detail: String,
    },
    /// The attributes are larger than the settings allow.
    #[error("the attributes of a session are {bytes} bytes, at most {bytes_max} are allowed")]
    TooLarge {
        /// How large they are, as JSON.
        bytes: usize,
        /// How large they may be.
        bytes_max: u64,
    },
    /// What is stored is not what we write.
    #[error("memcached at {address} has something else under the key of a session")]
    Corrupt {
        /// Where it is.
        address: String,
    },
}

impl SessionError {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(_) | Self::TooLarge { .. } => ErrorKind::InvalidInput,
            Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
        }
    }
}
