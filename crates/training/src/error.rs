//! What can go wrong between the log and a published model.

use nowcast_log::LogError;
use nowcast_models::ModelError;
use nowcast_store::StoreError;
use nowcast_types::ErrorKind;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The artifact store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A model refused its data or parameters.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The settings cannot be used.
    #[error("{0}")]
    Config(String),
    /// There are too few interactions to learn from yet.
    #[error("{have} usable interactions are fewer than the {need} that training waits for")]
    TooFew {
        /// Interactions there are.
        have: usize,
        /// Interactions needed.
        need: usize,
    },
}

impl TrainingError {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Log(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Model(error) => error.kind(),
            Self::Config(_) => ErrorKind::InvalidInput,
            Self::TooFew { .. } => ErrorKind::Unavailable,
        }
    }
}
