//! The changes of the registry's state: small JSON texts that any log can hold.
//!
//! The registry is what its changes, applied in order, make of an empty one. A change says what is
//! so from now on, never how to get there, so applying one twice is the same as once.

use crate::compat::CompatibilityLevel;
use crate::registry::Mode;
use crate::schema_type::{SchemaReference, SchemaType};
use serde::{Deserialize, Serialize};

/// The version of the encoding.
const VERSION: u32 = 1;

/// One change of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
pub enum RegistryChange {
    /// A version of a subject was registered, or is visible again.
    Register {
        /// The subject.
        subject: String,
        /// The version in the subject, from 1.
        version: u32,
        /// The schema's id in the whole registry.
        id: u32,
        /// The language.
        schema_type: SchemaType,
        /// The text, as it was sent.
        schema: String,
        /// What it refers to.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        references: Vec<SchemaReference>,
    },
    /// Versions of a subject are hidden from listings and from new readers; their ids still work.
    SoftDelete {
        /// The subject.
        subject: String,
        /// The versions.
        versions: Vec<u32>,
    },
    /// Versions of a subject are gone.
    HardDelete {
        /// The subject.
        subject: String,
        /// The versions.
        versions: Vec<u32>,
    },
    /// The compatibility level of a subject, or of all, was set or, with `None`, taken back.
    SetLevel {
        /// The subject; `None` for all that have no level of their own.
        subject: Option<String>,
        /// The level.
        level: Option<CompatibilityLevel>,
    },
    /// The mode of a subject, or of all, was set or, with `None`, taken back.
    SetMode {
        /// The subject; `None` for all that have no mode of their own.
        subject: Option<String>,
        /// The mode.
        mode: Option<Mode>,
    },
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u32,
    #[serde(flatten)]
    change: T,
}

impl RegistryChange {
    /// The subject it is about, if it is about one; a log may use it as the key.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Register { subject, .. }
            | Self::SoftDelete { subject, .. }
            | Self::HardDelete { subject, .. } => Some(subject),
            Self::SetLevel { subject, .. } | Self::SetMode { subject, .. } => subject.as_deref(),
        }
    }

    /// The change as bytes for a log.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let versioned = Versioned {
            v: VERSION,
            change: self,
        };
        serde_json::to_vec(&versioned).expect("names and numbers are always JSON")
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// A sentence about what is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let value: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let serde_json::Value::Object(mut fields) = value else {
            return Err("a change is an object".to_owned());
        };
        match fields.remove("v").and_then(|version| version.as_u64()) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => return Err(format!("version {version} of the encoding is unknown")),
            None => return Err("the version of the encoding is missing".to_owned()),
        }
        serde_json::from_value(fields.into()).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_have_the_golden_encoding() {
        let change = RegistryChange::Register {
            subject: "clicks-value".to_owned(),
            version: 2,
            id: 7,
            schema_type: SchemaType::Avro,
            schema: "\"string\"".to_owned(),
            references: Vec::new(),
        };
        let golden = br#"{"v":1,"change":"register","subject":"clicks-value","version":2,"id":7,"schema_type":"AVRO","schema":"\"string\""}"#;
        assert_eq!(change.encode(), golden);
        assert_eq!(RegistryChange::decode(golden).unwrap(), change);
        let change = RegistryChange::SetLevel {
            subject: None,
            level: Some(CompatibilityLevel::FullTransitive),
        };
        let golden = br#"{"v":1,"change":"set_level","subject":null,"level":"FULL_TRANSITIVE"}"#;
        assert_eq!(change.encode(), golden);
        assert_eq!(RegistryChange::decode(golden).unwrap(), change);
    }

    #[test]
    fn what_is_not_a_change_is_refused() {
        for bad in [
            &b""[..],
            b"[]",
            br#"{"change":"set_level","subject":null,"level":null}"#,
            br#"{"v":2,"change":"set_level","subject":null,"level":null}"#,
            br#"{"v":1,"change":"drop"}"#,
            br#"{"v":1,"change":"set_mode","subject":null,"mode":"X"}"#,
        ] {
            assert!(RegistryChange::decode(bad).is_err());
        }
    }
}
