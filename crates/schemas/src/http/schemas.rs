//! `/schemas`: schemas by their id, and everything at once.

use super::Service;
use super::answers::{Answer, Failure, Parameters, add_kind, version_json};
use crate::parsed::{ParsedSchema, serialized};
use crate::registry::{Registry, RegistryRefusal, StoredSchema};
use crate::schema_type::SchemaType;
use axum::extract::{Path, Query, State};
use serde_json::json;
use std::collections::BTreeSet;

pub(super) async fn types() -> Answer {
    Answer::json(&json!(SchemaType::ALL.map(SchemaType::name)))
}

fn id(text: &str) -> Result<u32, Failure> {
    // Not a number: the API answers as if nothing were there.
    text.parse()
        .map_err(|_| Failure::new(404, 404, "HTTP 404 Not Found"))
}

/// The text in the format asked for: of Protobuf, `serialized` is the base64 of the descriptor.
pub(super) fn formatted(
    registry: &Registry,
    stored: &StoredSchema,
    parameters: &Parameters,
) -> Result<String, Failure> {
    let wants_serialized = parameters.format.as_deref() == Some("serialized");
    if stored.schema_type != SchemaType::Protobuf || !wants_serialized {
        return Ok(stored.schema.to_string());
    }
    let text = registry.resolve(stored.schema_type, &stored.schema, &stored.references)?;
    match ParsedSchema::parse(&text) {
        Ok(ParsedSchema::Protobuf(file)) => Ok(serialized(&file)),
        Ok(_) => Ok(stored.schema.to_string()),
        Err(reason) => Err(RegistryRefusal::InvalidSchema(reason).into()),
    }
}

pub(super) async fn by_id(
    State(service): Service,
    Path(id_text): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Answer, Failure> {
    let id = id(&id_text)?;
    service.read(|registry| {
        let stored = registry.schema(id).ok_or(RegistryRefusal::IdNotFound(id))?;
        let mut body = json!({"schema": formatted(registry, stored, &parameters)?});
        add_kind(&mut body, stored.schema_type, &stored.references);
        if parameters.fetch_max_id {
            body["maxId"] = registry.id_max().into();
        }
        Ok(Answer::json(&body))
    })
}

pub(super) async fn text_by_id(
    State(service): Service,
    Path(id_text): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Answer, Failure> {
    let id = id(&id_text)?;
    service.read(|registry| {
        let stored = registry.schema(id).ok_or(RegistryRefusal::IdNotFound(id))?;
        Ok(Answer::text(&formatted(registry, stored, &parameters)?))
    })
}

pub(super) async fn subjects_of(
    State(service): Service,
    Path(id_text): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Answer, Failure> {
    let id = id(&id_text)?;
    let uses = service.read(|registry| registry.uses_of(id, parameters.deleted));
    let uses = uses.ok_or(RegistryRefusal::IdNotFound(id))?;
    let subjects: BTreeSet<String> = uses.into_iter().map(|found| found.subject).collect();
    Ok(Answer::json(&json!(subjects)))
}

pub(super) async fn versions_of(
    State(service): Service,
    Path(id_text): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Answer, Failure> {
    let id = id(&id_text)?;
    let uses = service.read(|registry| registry.uses_of(id, parameters.deleted));
    let uses = uses.ok_or(RegistryRefusal::IdNotFound(id))?;
    let uses: Vec<_> = uses
        .into_iter()
        .map(|found| json!({"subject": found.subject, "version": found.version}))
        .collect();
    Ok(Answer::json(&json!(uses)))
}

pub(super) async fn list(
    State(service): Service,
    Query(parameters): Query<Parameters>,
) -> Result<Answer, Failure> {
    service.read(|registry| {
        let mut found: Vec<_> = registry
            .all_versions(parameters.deleted)
            .filter(|found| parameters.wants(&found.subject))
            .collect();
        if parameters.latest_only {
            found.reverse();
            found.dedup_by(|later, kept| later.subject == kept.subject);
            found.reverse();
        }
        let mut bodies = Vec::new();
        for found in parameters.page(found) {
            let text = formatted(registry, &found.schema, &parameters)?;
            bodies.push(version_json(&found, &text));
        }
        Ok(Answer::json(&json!(bodies)))
    })
}
