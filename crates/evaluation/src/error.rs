//! What can go wrong with an evaluation: files that cannot be read, models that cannot be trained.

use crate::input::InputError;
use nowcast_models::ModelError;
use nowcast_types::ErrorKind;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// A file cannot be read, or a line is not what the format says.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The options contradict themselves or name something unknown.
    #[error("{0}")]
    Options(String),
    /// The engine in memory failed.
    #[error("the engine under evaluation failed: {0}")]
    Engine(String),
    /// A model refused.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl EvaluationError {
    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Input(InputError::Io { source, .. }) => match source.kind() {
                std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                _ => ErrorKind::Unavailable,
            },
            Self::Input(_) | Self::Options(_) => ErrorKind::InvalidInput,
            Self::Engine(_) => ErrorKind::Bug,
            Self::Model(error) => error.kind(),
        }
    }
}
