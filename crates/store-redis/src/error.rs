//! What can go wrong between us and Redis.

use nowcast_store::StoreError;
use nowcast_types::ErrorKind;
use redis::RedisError;

/// An error of the store on Redis.
#[derive(Debug, thiserror::Error)]
pub enum RedisStoreError {
    /// The URL or a setting makes no sense.
    #[error("redis: {0}")]
    Config(String),
    /// No connection, no answer in time, or a server that refuses at the moment.
    #[error("redis at {address} is not available: {source}")]
    Unavailable {
        /// Which server, without credentials.
        address: String,
        /// What was tried last.
        source: RedisError,
    },
    /// The answer did not come in the time its caller had, or what was to be read kept changing.
    #[error("redis: {0}")]
    Late(String),
    /// The server or what it holds does not fit: wrong type, wrong credentials, no permission.
    #[error("redis at {address} refuses: {source}")]
    Refused {
        /// Which server, without credentials.
        address: String,
        /// What it said.
        source: RedisError,
    },
    /// Fewer replicas than asked for confirmed a commit in time; the commit itself is there.
    #[error("{confirmed} of {wanted} replicas confirmed the commit")]
    NotReplicated {
        /// How many did.
        confirmed: u64,
        /// How many were asked for.
        wanted: u64,
    },
    /// Something stored is not what this version of the program writes.
    #[error("redis holds something unreadable: {0}")]
    Corrupt(String),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The store's own rules: fenced, stale.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RedisStoreError {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(_) | Self::Refused { .. } => ErrorKind::InvalidInput,
            Self::Unavailable { .. }
            | Self::NotReplicated { .. }
            | Self::Late(_)
            | Self::Thread(_) => ErrorKind::Unavailable,
            Self::Corrupt(_) => ErrorKind::Corrupt,
            Self::Store(error) => error.kind(),
        }
    }

    pub(crate) fn of(address: &str, source: RedisError) -> Self {
        use redis::ErrorKind as Kind;
        let address = address.to_owned();
        // A server that is loading, failing over or full says so in words; it may be well later.
        match source.kind() {
            Kind::AuthenticationFailed
            | Kind::UnexpectedReturnType
            | Kind::InvalidClientConfig
            | Kind::RESP3NotSupported => Self::Refused { address, source },
            _ => Self::Unavailable { address, source },
        }
    }
}

impl From<RedisStoreError> for StoreError {
    fn from(error: RedisStoreError) -> Self {
        match error {
            RedisStoreError::Store(error) => error,
            RedisStoreError::Corrupt(detail) => Self::Corrupt {
                what: "redis".to_owned(),
                detail,
            },
            error if error.kind() == ErrorKind::Unavailable => Self::Unavailable {
                what: "redis".to_owned(),
                detail: error.to_string(),
            },
            error => Self::Invalid(error.to_string()),
        }
    }
}
