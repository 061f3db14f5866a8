//! What can go wrong in an engine, with the part that failed named once.

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
        /// Its id, cut to 64 characters.
        id: String,
    },
    /// The key of the pseudonyms cannot be used.
    #[error("pseudonym key {path}: {reason}")]
    PseudonymKey {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// The data folder cannot be used.
    #[error("data folder {path}: {reason}")]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration is wrong.
    #[error("configuration: {0}")]
    Config(String),
    /// The engine is full or not ready; the same call may succeed later.
    #[error("{0}")]
    Unavailable(String),
}
