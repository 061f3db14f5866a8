//! Writer schemas ready to decode with, remembered by id and by fingerprint.

use super::avro::AvroPlan;
use crate::fault::{Fault, FaultCode};
use crate::parsed::{ParsedSchema, validator};
use crate::schema_type::{SchemaText, SchemaType};
use crate::shipped::SHIPPED;
use apache_avro::rabin::Rabin;
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

    /// Compiles a schema and, of Avro, tells its fingerprint.
    fn compile(schema: &SchemaText) -> Result<(Self, Option<u64>), String> {
        Ok(match ParsedSchema::parse(schema)? {
            ParsedSchema::Avro(parsed, dependencies) => {
                let plan = AvroPlan::compile(&parsed, &dependencies).map_err(|f| f.expected)?;
                let fingerprint = parsed.fingerprint::<Rabin>().bytes;
                let fingerprint = fingerprint.first_chunk().copied().map(u64::from_le_bytes);
                (Self::Avro(plan), fingerprint)
            }
            ParsedSchema::Protobuf(file) => (Self::Protobuf(file), None),
            ParsedSchema::Json(schema, dependencies) => {
                let validator = validator(&schema, &dependencies)?;
                (Self::Json(Box::new(validator)), None)
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
        let (compiled, fingerprint) = Compiled::compile(schema)?;
        let fingerprint = fingerprint.ok_or("only Avro schemas have a fingerprint")?;
        let mut known = self.by_fingerprint.write();
        if known.len() >= SCHEMAS_MAX {
            return Err(format!("at most {SCHEMAS_MAX} fingerprints are kept"));
        }
        known.insert(fingerprint, Arc::new(compiled));
        Ok(fingerprint)
    }
}
