//! Independent clients that tests set against us: they are fetched, not started.

use crate::error::Result;
use crate::fetch::debian::Program;
use crate::fetch::python;
use crate::versions::CONFLUENT_KAFKA;
use std::path::PathBuf;

const KCAT: Program = Program::new("kcat", &["kcat"]);

/// The path of `kcat`, a Kafka client on the command line.
///
/// # Errors
/// When it cannot be installed.
pub fn kcat() -> Result<PathBuf> {
    KCAT.find_or_install()
}

/// The path of a `python` that has `confluent_kafka` with its schema-registry client and its
/// Avro, Protobuf and JSON Schema serializers.
///
/// # Errors
/// When the packages cannot be fetched.
pub fn python_kafka() -> Result<PathBuf> {
    let environment = python::environment(
        &format!("confluent-kafka-{CONFLUENT_KAFKA}"),
        &format!("confluent-kafka {CONFLUENT_KAFKA} for Python"),
        &[&format!(
            "confluent-kafka[avro,json,protobuf,schemaregistry]=={CONFLUENT_KAFKA}"
        )],
    )?;
    Ok(environment.join("bin/python"))
}
