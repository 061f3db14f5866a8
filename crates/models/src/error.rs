//! What can go wrong with models: wrong parameters, unusable data, damaged artifacts.

use nowcast_types::ErrorKind;

/// An error of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// No model has this name.
    #[error("unknown model `{name}`; there are: {valid}")]
    UnknownModel {
        /// The name asked for.
        name: String,
        /// The names there are, separated by commas.
        valid: String,
    },
    /// The model has no such parameter.
    #[error("model `{model}` has no parameter `{name}`; it has: {valid}")]
    UnknownParam {
        /// The model asked.
        model: &'static str,
        /// The parameter given.
        name: String,
        /// The parameters there are, separated by commas.
        valid: String,
    },
    /// A parameter's value cannot be used.
    #[error("parameter `{name}` = `{value}`: expected {expected}")]
    BadParam {
        /// The parameter.
        name: String,
        /// The value given.
        value: String,
        /// What would be accepted.
        expected: String,
    },
    /// No metric has this name.
    #[error("unknown metric `{name}`; metrics are {valid}, such as recall@20")]
    UnknownMetric {
        /// The text given.
        name: String,
        /// The names there are.
        valid: String,
    },
    /// There is nothing to learn from.
    #[error("model `{model}` cannot be trained: {reason}")]
    UnusableData {
        /// The model.
        model: &'static str,
        /// What is missing, in one sentence.
        reason: String,
    },
    /// The bytes are not an artifact, or not the one that was written.
    #[error("damaged model artifact: {0}")]
    Damaged(String),
    /// The artifact was written by another release in a format this one cannot read.
    #[error("model artifact has format {found}; this release reads format {supported}")]
    UnsupportedFormat {
        /// The format of the artifact.
        found: u16,
        /// The format this release reads.
        supported: u16,
    },
    /// The caller asked the training to stop.
    #[error("training was cancelled")]
    Cancelled,
    /// A computation gave something that cannot be.
    #[error("model `{model}`: {what}")]
    Numeric {
        /// The model.
        model: &'static str,
        /// What happened.
        what: String,
    },
}

impl ModelError {
    /// What a caller can do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownModel { .. }
            | Self::UnknownParam { .. }
            | Self::BadParam { .. }
            | Self::UnknownMetric { .. }
            | Self::UnusableData { .. } => ErrorKind::InvalidInput,
            Self::Damaged(_) | Self::UnsupportedFormat { .. } => ErrorKind::Corrupt,
            Self::Cancelled => ErrorKind::Unavailable,
            Self::Numeric { .. } => ErrorKind::Bug,
        }
    }
}
