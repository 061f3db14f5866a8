//! Whether a new version of a schema goes with the earlier ones.
//!
//! One question per language: can a reader with schema A read everything that was written with
//! schema B? Backward means that the new schema reads what the old ones wrote, forward the
//! reverse, full both; the transitive levels ask about every earlier version, the others about the
//! latest alone. An answer is a list of reasons against it; where a rule cannot decide, that is a
//! reason too, and says so.

mod avro;
mod json;
mod json_places;
mod json_scalars;
mod protobuf;

use crate::parsed::ParsedSchema;
use serde::{Deserialize, Serialize};

/// What a subject asks of new versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CompatibilityLevel {
    /// Anything goes.
    None,
    /// The new schema reads what the latest version wrote.
    #[default]
    Backward,
    /// The new schema reads what every earlier version wrote.
    BackwardTransitive,
    /// The latest version reads what the new schema writes.
    Forward,
    /// Every earlier version reads what the new schema writes.
    ForwardTransitive,
    /// Both ways, with the latest version.
    Full,
    /// Both ways, with every earlier version.
    FullTransitive,
}

impl CompatibilityLevel {
    /// Every level.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Backward,
        Self::BackwardTransitive,
        Self::Forward,
        Self::ForwardTransitive,
        Self::Full,
        Self::FullTransitive,
    ];

    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// The level of a name in the API, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut levels = Self::ALL.into_iter();
        levels.find(|level| level.name().eq_ignore_ascii_case(name))
    }

    /// Whether every earlier version counts, not only the latest.
    #[must_use]
    pub const fn is_transitive(self) -> bool {
        matches!(
            self,
            Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive
        )
    }

    const fn reads_old(self) -> bool {
        matches!(
            self,
            Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive
        )
    }

    const fn is_read_by_old(self) -> bool {
        matches!(
            self,
            Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive
        )
    }
}

/// Why `new` does not go with `earlier` (oldest first) at a level; empty if it does.
pub(crate) fn objections(
    new: &ParsedSchema,
    earlier: &[ParsedSchema],
    level: CompatibilityLevel,
) -> Vec<String> {
    let from = if level.is_transitive() {
        0
    } else {
        earlier.len().saturating_sub(1)
    };
    let mut reasons = Vec::new();
    for old in &earlier[from..] {
        if level.reads_old() {
            let found = cannot_read(new, old);
            reasons.extend(found.into_iter().map(|r| format!("new reads old: {r}")));
        }
        if level.is_read_by_old() {
            let found = cannot_read(old, new);
            reasons.extend(found.into_iter().map(|r| format!("old reads new: {r}")));
        }
    }
    reasons.dedup();
    reasons
}

/// Why a reader cannot read everything that a writer writes; empty if it can.
pub(crate) fn cannot_read(reader: &ParsedSchema, writer: &ParsedSchema) -> Vec<String> {
    match (reader, writer) {
        (ParsedSchema::Avro(reader, of_reader), ParsedSchema::Avro(writer, of_writer)) => {
            avro::cannot_read((reader, of_reader), (writer, of_writer))
        }
        (ParsedSchema::Protobuf(reader), ParsedSchema::Protobuf(writer)) => {
            protobuf::cannot_read(reader, writer)
        }
        (ParsedSchema::Json(reader, of_reader), ParsedSchema::Json(writer, of_writer)) => {
            json::cannot_read((reader, of_reader), (writer, of_writer))
        }
        _ => vec!["the schema language changed".to_owned()],
    }
}
