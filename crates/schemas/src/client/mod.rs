//! A client of an external schema registry that speaks the Confluent REST API.
//!
//! Schemas never change under their id, so they are remembered for ever; that there is no such id
//! is remembered for a while, so that a stream of bad messages does not become a stream of calls.
//! A call has one deadline over all its attempts, and retries come out of one budget, so that a
//! registry in trouble is not given more of it.

mod config;
mod transport;

pub use config::RegistryClientConfig;

use crate::error::SchemaError;
use crate::registry::{NewSchema, VersionSelector};
use crate::schema_type::{SchemaReference, SchemaText, SchemaType};
use crate::source::{BoxFuture, SchemaSource};
use hyper::Method;
use parking_lot::RwLock;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use transport::Transport;

/// Most ids remembered, found or not; beyond, all are forgotten.
const IDS_MAX: usize = 16_384;
/// Most schemas that one schema refers to, however far.
const REFERENCES_MAX: usize = 256;

/// What stays as it is in one part of a path.
const PATH_PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A client; cheap to share behind an `Arc`.
pub struct RegistryClient {
    transport: Transport,
    missing_for: Duration,
    known: RwLock<HashMap<u32, Known>>,
    /// One look-up at a time, so that many messages with one new id make one call.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
enum Known {
    Schema(SchemaText),
    MissingUntil(Instant),
}

/// What the registry says about a schema's compatibility.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Compatibility {
    /// Whether the registry would take it.
    pub is_compatible: bool,
    /// Why not.
    #[serde(default)]
    pub messages: Vec<String>,
}

/// A version of a subject, as the registry shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisteredVersion {
    /// The subject.
    pub subject: String,
    /// The version, from 1.
    pub version: u32,
    /// The schema's id.
    pub id: u32,
    /// The text.
    pub schema: String,
    /// The language.
    #[serde(default)]
    pub schema_type: SchemaType,
    /// What it refers to.
    #[serde(default)]
    pub references: Vec<SchemaReference>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchemaAnswer {
    schema: String,
    #[serde(default)]
    schema_type: SchemaType,
    #[serde(default)]
    references: Vec<SchemaReference>,
}

#[derive(Deserialize)]
struct IdAnswer {
    id: u32,
}

impl RegistryClient {
    /// A client that has not connected yet.
    ///
    /// # Errors
    /// [`SchemaError::BadConfig`] for a URL or a certificate file that cannot be used.
    pub fn new(config: &RegistryClientConfig) -> Result<Self, SchemaError> {
        Ok(Self {
            transport: Transport::new(config)?,
            missing_for: config.missing_for.duration(),
            known: RwLock::default(),
            fetching: tokio::sync::Mutex::new(()),
        })
    }

    /// The schema with an id and all it refers to; `None` if the registry says there is none.
    ///
    /// # Errors
    /// If the registry did not answer, or not in its API.
    pub async fn schema_by_id(&self, id: u32) -> Result<Option<SchemaText>, SchemaError> {
        if let Some(known) = self.recall(id) {
            return Ok(known);
        }
        let _one_at_a_time = self.fetching.lock().await;
        if let Some(known) = self.recall(id) {
            return Ok(known);
        }
        let fetched = self.fetch(id).await?;
        let known = match &fetched {
            Some(schema) => Known::Schema(schema.clone()),
            None => Known::MissingUntil(Instant::now() + self.missing_for),
        };
        let mut all = self.known.write();
        if all.len() >= IDS_MAX {
            all.clear();
        }
        all.insert(id, known);
        Ok(fetched)
    }

    /// What is remembered of an id: nothing, that it is missing, or its schema.
    fn recall(&self, id: u32) -> Option<Option<SchemaText>> {
        match self.known.read().get(&id)? {
            Known::Schema(schema) => Some(Some(schema.clone())),
            Known::MissingUntil(until) => (Instant::now() < *until).then_some(None),
        }
    }

    async fn fetch(&self, id: u32) -> Result<Option<SchemaText>, SchemaError> {
        let path = format!("/schemas/ids/{id}");
        let answer = match self.transport.call(Method::GET, &path, None).await {
            Ok(answer) => answer,
            Err(SchemaError::Refused {
                error_code: 40403, ..
            }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let answer: SchemaAnswer = self.read(&path, answer)?;
        let mut schema = SchemaText::new(answer.schema_type, &answer.schema);
        self.add_references(answer.references, &mut schema).await?;
        Ok(Some(schema))
    }

    /// Fetches what a schema refers to, what others build on first.
    async fn add_references(
        &self,
        references: Vec<SchemaReference>,
        schema: &mut SchemaText,
    ) -> Result<(), SchemaError> {
        // Depth first: a reference waits with its text until all of its own are there.
        let mut waiting: Vec<(SchemaReference, Option<String>)> =
            references.into_iter().rev().map(|r| (r, None)).collect();
        let mut calls = 0;
        while let Some((reference, text)) = waiting.pop() {
            let is_known = schema
                .dependencies
                .iter()
                .any(|(name, _)| *name == reference.name);
            match text {
                _ if is_known => {}
                Some(text) => schema
                    .dependencies
                    .push((reference.name, text.as_str().into())),
                None => {
                    calls += 1;
                    if calls > REFERENCES_MAX {
                        let reason = format!("more than {REFERENCES_MAX} references");
                        return Err(self.transport.bad_answer(&reference.subject, reason));
                    }
                    let version = VersionSelector::Number(reference.version);
                    let found = self.version(&reference.subject, version).await?;
                    waiting.push((reference, Some(found.schema)));
                    waiting.extend(found.references.into_iter().rev().map(|r| (r, None)));
                }
            }
        }
        Ok(())
    }

    /// A version of a subject.
    ///
    /// # Errors
    /// [`SchemaError::Refused`] with 40401 or 40402 if it is not there; no answer.
    pub async fn version(
        &self,
        subject: &str,
        version: VersionSelector,
    ) -> Result<RegisteredVersion, SchemaError> {
        let path = format!("/subjects/{}/versions/{}", part(subject), number(version));
        let answer = self.transport.call(Method::GET, &path, None).await?;
        self.read(&path, answer)
    }

    /// Registers a schema and answers with its id. Registering it again gives the same id.
    ///
    /// # Errors
    /// [`SchemaError::Refused`] with 409 if it is incompatible, 42201 if invalid; no answer.
    pub async fn register(&self, subject: &str, new: &NewSchema) -> Result<u32, SchemaError> {
        let path = format!("/subjects/{}/versions", part(subject));
        let body = Some(body(new));
        let answer = self.transport.call(Method::POST, &path, body).await?;
        Ok(self.read::<IdAnswer>(&path, answer)?.id)
    }

    /// The version of a subject that has this very schema.
    ///
    /// # Errors
    /// [`SchemaError::Refused`] with 40401 or 40403 if there is none; no answer.
    pub async fn lookup(
        &self,
        subject: &str,
        new: &NewSchema,
    ) -> Result<RegisteredVersion, SchemaError> {
        let path = format!("/subjects/{}", part(subject));
        let body = Some(body(new));
        let answer = self.transport.call(Method::POST, &path, body).await?;
        self.read(&path, answer)
    }

    /// Whether a schema goes with a version of a subject, at the subject's level.
    ///
    /// # Errors
    /// [`SchemaError::Refused`] with 40401, 40402 or 42201; no answer.
    pub async fn compatibility(
        &self,
        subject: &str,
        version: VersionSelector,
        new: &NewSchema,
    ) -> Result<Compatibility, SchemaError> {
        let (subject, version) = (part(subject), number(version));
        let path = format!("/compatibility/subjects/{subject}/versions/{version}?verbose=true");
        let body = Some(body(new));
        let answer = self.transport.call(Method::POST, &path, body).await?;
        self.read(&path, answer)
    }

    fn read<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        answer: Value,
    ) -> Result<T, SchemaError> {
        serde_json::from_value(answer)
            .map_err(|error| self.transport.bad_answer(path, error.to_string()))
    }
}

fn part(text: &str) -> String {
    utf8_percent_encode(text, PATH_PART).to_string()
}

fn number(version: VersionSelector) -> String {
    match version {
        VersionSelector::Latest => "latest".to_owned(),
        VersionSelector::Number(number) => number.to_string(),
    }
}

fn body(new: &NewSchema) -> Value {
    let mut body = json!({"schema": new.schema});
    if new.schema_type != SchemaType::Avro {
        body["schemaType"] = new.schema_type.name().into();
    }
    if !new.references.is_empty() {
        body["references"] = json!(new.references);
    }
    body
}

impl SchemaSource for RegistryClient {
    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Option<SchemaText>, SchemaError>> {
        Box::pin(self.schema_by_id(id))
    }
}
