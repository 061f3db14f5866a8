//! The languages of schemas, and a registered schema with what it refers to.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The language of a schema, named as the registry's API names it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum SchemaType {
    /// Apache Avro; what a schema is in if nothing is said.
    #[default]
    Avro,
    /// Protocol Buffers.
    Protobuf,
    /// JSON Schema.
    Json,
}

impl SchemaType {
    /// Every language, in the order in which the API lists them.
    pub const ALL: [Self; 3] = [Self::Json, Self::Protobuf, Self::Avro];

    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Protobuf => "PROTOBUF",
            Self::Json => "JSON",
        }
    }

    /// The language of a name in the API.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

impl fmt::Display for SchemaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A schema that another one builds on: the name by which it does, and where it is registered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SchemaReference {
    /// What the schema calls it: an Avro name, a Protobuf import, a JSON `$ref`.
    pub name: String,
    /// The subject it is registered under.
    pub subject: String,
    /// The version of the subject.
    pub version: u32,
}

/// The text of a schema and of everything that it refers to, however far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SchemaText {
    /// The language.
    pub schema_type: SchemaType,
    /// The schema itself.
    pub text: Arc<str>,
    /// Name and text of what it refers to, what others build on first.
    pub dependencies: Vec<(String, Arc<str>)>,
}

impl SchemaText {
    /// A schema that refers to no other.
    #[must_use]
    pub fn new(schema_type: SchemaType, text: &str) -> Self {
        Self {
            schema_type,
            text: text.into(),
            dependencies: Vec::new(),
        }
    }
}
