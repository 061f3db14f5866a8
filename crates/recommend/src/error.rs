//! What can go wrong with a request. A component that fails or is late is never an error here: it
//! is an empty stage and a counter.

use crate::filter_expression::ExpressionError;
use nowcast_types::ErrorKind;
use thiserror::Error;

/// Why a request or a configuration was refused.
#[derive(Debug, Error)]
pub enum RecommendError {
    /// The slot is not configured.
    #[error("there is no slot `{name}`; configured are: {known}")]
    UnknownSlot {
        /// What was asked for.
        name: String,
        /// The configured ones, comma-separated.
        known: String,
    },
    /// A slot names a component that does not exist.
    #[error("slot `{slot}`: there is no {stage} `{name}`; valid are: {known}")]
    UnknownComponent {
        /// The slot that names it.
        slot: String,
        /// `source`, `scorer` or `rerank scorer`.
        stage: &'static str,
        /// What was named.
        name: String,
        /// The existing ones, comma-separated.
        known: String,
    },
    /// A number of a slot is outside its range.
    #[error("slot `{slot}`: {key} {rule}")]
    BadSlot {
        /// The slot.
        slot: String,
        /// The key within the slot.
        key: String,
        /// What the key must be.
        rule: &'static str,
    },
    /// `k` is 0 or above the slot's `k_max`.
    #[error("k must be between 1 and {k_max}, got {k}")]
    KOutOfRange {
        /// What was asked for.
        k: usize,
        /// The slot's limit.
        k_max: usize,
    },
    /// A list of the request is longer than its limit.
    #[error("{field} holds {len} entries, at most {max} are allowed")]
    TooMany {
        /// The field of the request.
        field: &'static str,
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The filter expression cannot be compiled or is too costly.
    #[error("filter: {0}")]
    Expression(#[from] ExpressionError),
    /// The item is not in the catalogue and no event has named it.
    #[error("there is no item `{0}`")]
    UnknownItem(String),
}

impl RecommendError {
    /// What the caller can do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownSlot { .. } | Self::UnknownItem(_) => ErrorKind::NotFound,
            Self::UnknownComponent { .. }
            | Self::BadSlot { .. }
            | Self::KOutOfRange { .. }
            | Self::TooMany { .. }
            | Self::Expression(_) => ErrorKind::InvalidInput,
        }
    }
}
