//! Writer schemas ready to decode with, remembered by id and by fingerprint.

use super::avro::AvroPlan;
use crate::fault::{Fault, FaultCode};
use crate::parsed::{ParsedSchema, validator};
use crate::schema_type::{SchemaText, SchemaType};
use crate::shipped::SHIPPED;
use apache_avro::Schema;
use parking_lot::RwLock;
use prost_reflect::FileDescriptor;
use std::collections::HashMap;
use std::sync::Arc;

/// Most writer schemas remembered; beyond, all are forgotten and fetched again.
const SCHEMAS_MAX: usize = 4096;

/// A writer schema ready to decode with.
#[derive(Debug)]
pub(super) enum Compiled {
    Avro(AvroPlan),
    Protobuf(FileDescriptor),
    Json(Box<jsonschema::Validator>),
    /// The registry has no such schema, or it cannot be used: every message is refused alike.
    Unusable(Fault),
}

impl Compiled {
    pub(super) fn new(schema: &SchemaText) -> Self {
        match Self::compile(schema) {
            Ok((compiled, _)) => compiled,
            Err(reason) => {
                let expected = format!("a usable {} schema", schema.schema_type);
                Self::Unusable(Fault::new(FaultCode::BadSchema, "", expected).found(reason))
            }
        }
    }

    /// Compiles a schema and, of Avro, tells its fingerprints.
    fn compile(schema: &SchemaText) -> Result<(Self, Vec<u64>), String> {
        Ok(match ParsedSchema::parse(schema)? {
            ParsedSchema::Avro(parsed, dependencies) => {
                let plan = AvroPlan::compile(&parsed, &dependencies).map_err(|f| f.expected)?;
                (Self::Avro(plan), fingerprints(&parsed))
            }
            ParsedSchema::Protobuf(file) => (Self::Protobuf(file), Vec::new()),
            ParsedSchema::Json(schema, dependencies) => {
                let validator = validator(&schema, &dependencies)?;
                (Self::Json(Box::new(validator)), Vec::new())
            }
        })
    }
}

/// The writer schemas that have been met.
#[derive(Debug)]
pub(super) struct CompiledSchemas {
    by_id: RwLock<HashMap<u32, Arc<Compiled>>>,
    by_fingerprint: RwLock<HashMap<u64, Arc<Compiled>>>,
}

impl CompiledSchemas {
    /// Knows the fingerprints of the shipped schemas.
    pub(super) fn new() -> Self {
        let schemas = Self {
            by_id: RwLock::default(),
            by_fingerprint: RwLock::default(),
        };
        for shipped in SHIPPED {
            if shipped.schema_type == SchemaType::Avro {
                let text = SchemaText::new(SchemaType::Avro, shipped.text);
                schemas
                    .learn_fingerprint(&text)
                    .expect("the shipped schemas are valid");
            }
        }
        schemas
    }

    pub(super) fn by_id(&self, id: u32) -> Option<Arc<Compiled>> {
        self.by_id.read().get(&id).cloned()
    }

    pub(super) fn by_fingerprint(&self, fingerprint: u64) -> Option<Arc<Compiled>> {
        self.by_fingerprint.read().get(&fingerprint).cloned()
    }

    pub(super) fn learn(&self, id: u32, schema: &SchemaText) -> Arc<Compiled> {
        let compiled = Arc::new(Compiled::new(schema));
        let mut known = self.by_id.write();
        if known.len() >= SCHEMAS_MAX {
            known.clear();
        }
        known.insert(id, Arc::clone(&compiled));
        compiled
    }

    /// Makes an Avro schema known for single-object encoding.
    pub(super) fn learn_fingerprint(&self, schema: &SchemaText) -> Result<u64, String> {
        let (compiled, fingerprints) = Compiled::compile(schema)?;
        let first = fingerprints.first().copied();
        let first = first.ok_or("only Avro schemas have a fingerprint")?;
        let compiled = Arc::new(compiled);
        let mut known = self.by_fingerprint.write();
        if known.len() >= SCHEMAS_MAX {
            return Err(format!("at most {SCHEMAS_MAX} fingerprints are kept"));
        }
        for fingerprint in fingerprints {
            known.insert(fingerprint, Arc::clone(&compiled));
        }
        Ok(first)
    }
}

/// The fingerprints under which writers know a schema: that of the canonical form as the Java
/// implementation makes it, and that of the form which keeps `{"type":"long"}` where a logical
/// type was, as other implementations do. Without logical types they are the same.
fn fingerprints(schema: &Schema) -> Vec<u64> {
    let kept = schema.canonical_form();
    let mut reduced = kept.clone();
    for primitive in [
        "null", "boolean", "int", "long", "float", "double", "bytes", "string",
    ] {
        let wrapped = format!(r#"{{"type":"{primitive}"}}"#);
        reduced = reduced.replace(&wrapped, &format!(r#""{primitive}""#));
    }
    let mut prints = vec![
        crc_64_avro(reduced.as_bytes()),
        crc_64_avro(kept.as_bytes()),
    ];
    prints.dedup();
    prints
}

/// CRC-64-AVRO (Avro 1.12.0, "Schema Fingerprints").
fn crc_64_avro(bytes: &[u8]) -> u64 {
    const EMPTY: u64 = 0xc15d_213a_a4d7_a795;
    bytes.iter().fold(EMPTY, |print, byte| {
        let mut entry = (print ^ u64::from(*byte)) & 0xff;
        for _ in 0..8 {
            entry = (entry >> 1) ^ (EMPTY & 0_u64.wrapping_sub(entry & 1));
        }
        (print >> 8) ^ entry
    })
}
