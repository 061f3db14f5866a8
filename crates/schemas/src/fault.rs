//! Why a message of a foreign producer could not be used: a stable code, the field, what was
//! expected and what was found, so that somebody reading a dead letter can repair it.
//!
//! A fault is not an error of ours and never means "try again": a registry that is away is a
//! [`SchemaError`](crate::SchemaError), so that good messages are not thrown away with it.

use serde::Serialize;
use std::fmt;

/// The machine-readable reason of a [`Fault`]; stable across releases.
///
/// The first group has the words of [`nowcast_types::RefusalCode`], so that one table of reasons
/// serves what HTTP clients and what foreign producers send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultCode {
    /// The bytes are not the format they claim to be.
    Malformed,
    /// A required part is absent.
    Missing,
    /// A field that does not exist was sent.
    UnknownField,
    /// The value has the wrong type.
    WrongType,
    /// There are no bytes.
    Empty,
    /// The message is larger than the limit.
    TooLong,
    /// The value nests deeper than the limit.
    TooDeep,
    /// The value is outside its range.
    OutOfRange,
    /// The bytes end before the value does.
    Truncated,
    /// Bytes are left over behind the value.
    TrailingBytes,
    /// Nothing tells which format the bytes have, or the topic does not take that format.
    UnknownFormat,
    /// The content type is none that is read here.
    UnsupportedContentType,
    /// A message names a schema id, and no registry is configured.
    NoRegistry,
    /// The registry has no schema with this id.
    UnknownSchemaId,
    /// No schema with this fingerprint is known.
    UnknownFingerprint,
    /// The registered schema cannot be used.
    BadSchema,
    /// The message breaks the JSON Schema that it names.
    SchemaViolation,
    /// The envelope is not a CloudEvent.
    BadCloudEvent,
}

impl FaultCode {
    /// Every code, for tables of reasons.
    pub const ALL: [Self; 18] = [
        Self::Malformed,
        Self::Missing,
        Self::UnknownField,
        Self::WrongType,
        Self::Empty,
        Self::TooLong,
        Self::TooDeep,
        Self::OutOfRange,
        Self::Truncated,
        Self::TrailingBytes,
        Self::UnknownFormat,
        Self::UnsupportedContentType,
        Self::NoRegistry,
        Self::UnknownSchemaId,
        Self::UnknownFingerprint,
        Self::BadSchema,
        Self::SchemaViolation,
        Self::BadCloudEvent,
    ];

    /// The code in dead letters and metric labels.
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
            Self::Truncated => "truncated",
            Self::TrailingBytes => "trailing_bytes",
            Self::UnknownFormat => "unknown_format",
            Self::UnsupportedContentType => "unsupported_content_type",
            Self::NoRegistry => "no_registry",
            Self::UnknownSchemaId => "unknown_schema_id",
            Self::UnknownFingerprint => "unknown_fingerprint",
            Self::BadSchema => "bad_schema",
            Self::SchemaViolation => "schema_violation",
            Self::BadCloudEvent => "bad_cloud_event",
        }
    }
}

/// Longest text of what was found, in characters.
const FOUND_CHARS_MAX: usize = 64;

/// Why one message is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct Fault {
    /// The machine-readable reason.
    pub code: FaultCode,
    /// The field, as a path such as `consent.train`; empty for the whole message.
    pub field: String,
    /// What was expected, in one plain sentence.
    pub expected: String,
    /// What was there, cut to 64 characters; absent for raw user and session ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}

impl Fault {
    /// A fault of one field; `field` is empty for the whole message.
    pub fn new(code: FaultCode, field: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            code,
            field: field.into(),
            expected: expected.into(),
            found: None,
        }
    }

    /// Adds what was found, unless the field holds a raw id that must not be echoed.
    #[must_use]
    pub fn found(mut self, found: impl fmt::Display) -> Self {
        if !matches!(self.field.as_str(), "user_id" | "session_id") {
            self.found = Some(found.to_string().chars().take(FOUND_CHARS_MAX).collect());
        }
        self
    }

    /// Puts `parent.` before the field.
    #[must_use]
    pub(crate) fn under(mut self, parent: &str) -> Self {
        self.field = if self.field.is_empty() {
            parent.to_owned()
        } else {
            format!("{parent}.{}", self.field)
        };
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = if self.field.is_empty() {
            "message"
        } else {
            &self.field
        };
        write!(f, "{field}: {} ({})", self.expected, self.code.as_str())?;
        match &self.found {
            Some(found) => write!(f, ", found `{found}`"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_ids_are_not_echoed_and_long_values_are_cut() {
        let fault = Fault::new(FaultCode::WrongType, "user_id", "a text").found("ann");
        assert_eq!(fault.found, None);
        let fault = Fault::new(FaultCode::WrongType, "slot", "a text").found("é".repeat(99));
        assert_eq!(fault.found.unwrap().chars().count(), FOUND_CHARS_MAX);
    }

    #[test]
    fn the_code_on_the_wire_is_its_name() {
        for code in FaultCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
