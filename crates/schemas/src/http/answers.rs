//! Bodies in and out: the media type, the error body, and the few parameters that calls share.

use crate::registry::{NewSchema, RegistryRefusal, SubjectVersion};
use crate::schema_type::{SchemaReference, SchemaType};
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The API's media type.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.schemaregistry.v1+json");

/// A successful answer.
pub(super) struct Answer(String);

impl Answer {
    pub(super) fn json(value: &Value) -> Self {
        Self(value.to_string())
    }

    pub(super) fn text(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.0));
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, MEDIA_TYPE);
        response
    }
}

/// A refusal on the wire.
pub(super) struct Failure {
    status: u16,
    error_code: u32,
    message: String,
}

impl Failure {
    pub(super) fn new(status: u16, error_code: u32, message: impl Into<String>) -> Self {
        Self {
            status,
            error_code,
            message: message.into(),
        }
    }
}

impl From<RegistryRefusal> for Failure {
    fn from(refusal: RegistryRefusal) -> Self {
        Self::new(refusal.status(), refusal.error_code(), refusal.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({"error_code": self.error_code, "message": self.message});
        let mut response = Answer::json(&body).into_response();
        let status = StatusCode::from_u16(self.status);
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response
    }
}

/// The body of registrations, look-ups and compatibility checks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchemaBody {
    schema: Option<String>,
    schema_type: Option<String>,
    references: Option<Vec<ReferenceBody>>,
    id: Option<i64>,
    version: Option<i64>,
}

#[derive(Deserialize)]
struct ReferenceBody {
    name: String,
    subject: String,
    version: i64,
}

/// Reads a body whatever its content type says, as the API's clients expect.
pub(super) fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Failure> {
    serde_json::from_slice(bytes)
        .map_err(|error| Failure::new(422, 422, format!("Unrecognized body: {error}")))
}

/// Reads a schema on its way in.
pub(super) fn new_schema(bytes: &Bytes) -> Result<NewSchema, Failure> {
    let body: SchemaBody = body(bytes)?;
    let schema_type = match body.schema_type.as_deref() {
        None => SchemaType::Avro,
        Some(name) => SchemaType::from_name(&name.to_ascii_uppercase()).ok_or_else(|| {
            let shown: String = name.chars().take(32).collect();
            Failure::new(422, 422, format!("Invalid schema type {shown}"))
        })?,
    };
    let number = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok());
    let mut references = Vec::new();
    for reference in body.references.unwrap_or_default() {
        references.push(SchemaReference {
            name: reference.name,
            subject: reference.subject,
            version: number(Some(reference.version)).unwrap_or(0),
        });
    }
    Ok(NewSchema {
        schema_type,
        schema: body.schema.unwrap_or_default(),
        references,
        // Clients that know of no importing send -1 or 0.
        id: number(body.id).filter(|id| *id > 0),
        version: number(body.version).filter(|version| *version > 0),
    })
}

/// A version as the API shows it.
pub(super) fn version_json(found: &SubjectVersion, schema: &str) -> Value {
    let mut body = json!({
        "subject": found.subject,
        "version": found.version,
        "id": found.id,
        "schema": schema,
    });
    add_kind(
        &mut body,
        found.schema.schema_type,
        &found.schema.references,
    );
    body
}

/// Adds language and references, which the API leaves out where they are Avro and none.
pub(super) fn add_kind(body: &mut Value, schema_type: SchemaType, references: &[SchemaReference]) {
    if schema_type != SchemaType::Avro {
        body["schemaType"] = schema_type.name().into();
    }
    if !references.is_empty() {
        body["references"] = json!(references);
    }
}

/// The parameters that calls share; each call uses its own few. Unknown ones are passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Parameters {
    #[serde(deserialize_with = "flag")]
    pub(super) deleted: bool,
    #[serde(deserialize_with = "flag")]
    pub(super) permanent: bool,
    #[serde(deserialize_with = "flag")]
    pub(super) verbose: bool,
    #[serde(deserialize_with = "flag")]
    pub(super) force: bool,
    #[serde(deserialize_with = "flag")]
    pub(super) default_to_global: bool,
    #[serde(deserialize_with = "flag")]
    pub(super) deleted_only: bool,
    #[serde(deserialize_with = "flag")]
    pub(super) latest_only: bool,
    #[serde(deserialize_with = "flag")]
    pub(super) fetch_max_id: bool,
    pub(super) subject_prefix: Option<String>,
    pub(super) format: Option<String>,
    pub(super) offset: Option<usize>,
    pub(super) limit: Option<i64>,
}

/// `True`, as Python writes it, is true as well.
fn flag<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(text.eq_ignore_ascii_case("true"))
}

impl Parameters {
    /// The part of a list that is asked for.
    pub(super) fn page<T>(&self, entries: Vec<T>) -> Vec<T> {
        let limit = self.limit.and_then(|limit| usize::try_from(limit).ok());
        let entries = entries.into_iter().skip(self.offset.unwrap_or(0));
        match limit {
            Some(limit) => entries.take(limit).collect(),
            None => entries.collect(),
        }
    }

    /// Whether a subject is asked for.
    pub(super) fn wants(&self, subject: &str) -> bool {
        let prefix = self.subject_prefix.as_deref().unwrap_or_default();
        // `:*:` is how clients ask for all contexts.
        subject.starts_with(prefix.trim_start_matches(":*:"))
    }
}
