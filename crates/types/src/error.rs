//! How things go wrong, in words that callers can act on.
//!
//! [`ErrorKind`] is the one classification every crate's error enum maps to. A [`Refusal`] is not
//! an error of ours: it says which field of the caller's data broke which rule.

use serde::Serialize;
use std::fmt;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The input is wrong; sending it again will fail again.
    InvalidInput,
    /// The thing named does not exist.
    NotFound,
    /// A dependency or resource is away or full; the same call may succeed later.
    Unavailable,
    /// The call clashes with the present state.
    Conflict,
    /// Persisted bytes are damaged.
    Corrupt,
    /// An invariant of ours broke.
    Bug,
}

impl ErrorKind {
    /// Whether the same call may succeed later without any change by the caller.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable)
    }
}

/// An error with the reasons behind it, which libraries often do not tell by themselves.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The machine-readable reason of a [`Refusal`]; stable across releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The bytes are not the format they claim to be.
    Malformed,
    /// A required field is absent.
    Missing,
    /// A field that does not exist was sent.
    UnknownField,
    /// The value has the wrong JSON type.
    WrongType,
    /// The value is empty where it must not be.
    Empty,
    /// The value is longer than the limit.
    TooLong,
    /// The value nests deeper than the limit.
    TooDeep,
    /// The value is outside its range.
    OutOfRange,
    /// The value holds characters that are not allowed.
    BadCharacter,
    /// The name is not one of the known ones.
    UnknownName,
    /// The event is older than the horizon.
    TooOld,
    /// The event lies further in the future than clocks may be wrong.
    TooFarAhead,
}

impl RefusalCode {
    /// The code as it appears on the wire and in metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Missing => "missing",
            Self::UnknownField => "unknown_field",
            Self::WrongType => "wrong_type",
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::TooDeep => "too_deep",
            Self::OutOfRange => "out_of_range",
            Self::BadCharacter => "bad_character",
            Self::UnknownName => "unknown_name",
            Self::TooOld => "too_old",
            Self::TooFarAhead => "too_far_ahead",
        }
    }
}

/// Why a piece of the caller's data was not accepted: which field, which rule, which value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The machine-readable reason.
    pub code: RefusalCode,
    /// The field, as a path such as `properties` or `attributes.price`; empty for the whole body.
    pub field: String,
    /// What was expected, in one plain sentence.
    pub expected: String,
    /// The offending value, cut to 64 characters; `None` where it is absent or must not be echoed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl Refusal {
    /// Builds a refusal without a value.
    pub fn new(code: RefusalCode, field: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            code,
            field: field.into(),
            expected: expected.into(),
            value: None,
        }
    }

    /// Adds the offending value, cut to 64 characters.
    #[must_use]
    pub fn with_value(mut self, value: impl fmt::Display) -> Self {
        self.value = Some(value.to_string().chars().take(64).collect());
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = if self.field.is_empty() {
            "body"
        } else {
            &self.field
        };
        write!(f, "{field}: {} ({})", self.expected, self.code.as_str())?;
        match &self.value {
            Some(value) => write!(f, ", got `{value}`"),
            None => Ok(()),
        }
    }
}
