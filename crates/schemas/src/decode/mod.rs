//! From a foreign producer's message to the fields of an event, an item or a user.
//!
//! [`Decoder::try_decode`] does no IO: it either decodes, or says why not, or names the schema id
//! that it does not know yet. [`Decoder::decode`] fetches that schema and goes on. No input makes
//! either panic, and a registry that is away is an error to be tried again, never a fault of the
//! message.

mod avro;
mod avro_reader;
mod cloud_event;
mod compiled;
mod envelope;
mod json;
mod protobuf;

use crate::error::SchemaError;
use crate::fault::{Fault, FaultCode};
use crate::fields::{Decoded, EntityChange, EntityFields, ITEM_FIELDS, USER_FIELDS, entity};
use crate::message::Message;
use crate::parsed::message_at;
use crate::schema_type::{SchemaText, SchemaType};
use crate::shipped::shipped;
use crate::source::SchemaSource;
use crate::topic::{RecordKind, TopicConfig, TopicFormat, UnknownFields};
use cloud_event::{Attributes, Data};
use compiled::{Compiled, CompiledSchemas};
use envelope::{Body, Content};
use prost_reflect::MessageDescriptor;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// Why [`Decoder::try_decode`] has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The message cannot be used, now or ever.
    Fault(Fault),
    /// The schema with this id has to be learnt first; then the message can be tried again.
    NeedsSchema(u32),
}

impl From<Fault> for Obstacle {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Decodes messages; one for all topics and threads, since it remembers the writer schemas.
pub struct Decoder {
    source: Option<Arc<dyn SchemaSource>>,
    schemas: CompiledSchemas,
    item_message: MessageDescriptor,
    user_message: MessageDescriptor,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Decoder {
    /// A decoder that looks schema ids up in `source`; without one, a message with a registry
    /// header is refused.
    #[must_use]
    pub fn new(source: Option<Arc<dyn SchemaSource>>) -> Self {
        Self {
            source,
            schemas: CompiledSchemas::new(),
            item_message: shipped_message(RecordKind::Item),
            user_message: shipped_message(RecordKind::User),
        }
    }

    /// Decodes a message, and fetches its writer schema if need be.
    ///
    /// # Errors
    /// [`SchemaError::Fault`] for a dead letter; any other error means that the registry did not
    /// answer, and the same message can be tried again.
    pub async fn decode<'m>(
        &self,
        message: &Message<'m>,
        topic: &TopicConfig,
    ) -> Result<Decoded<'m>, SchemaError> {
        // One message names one schema, so the second attempt knows all it needs.
        for _ in 0..2 {
            match self.try_decode(message, topic) {
                Ok(decoded) => return Ok(decoded),
                Err(Obstacle::Fault(fault)) => return Err(fault.into()),
                Err(Obstacle::NeedsSchema(id)) => self.learn(id).await?,
            }
        }
        Err(Fault::new(FaultCode::BadSchema, "", "a schema that stays known").into())
    }

    /// Fetches the schema of an id.
    ///
    /// # Errors
    /// A fault if there is no such schema or no registry; any other error if the registry did not
    /// answer.
    pub async fn learn(&self, id: u32) -> Result<(), SchemaError> {
        let Some(source) = &self.source else {
            let expected = "a message without a registry header, since no registry is configured";
            return Err(Fault::new(FaultCode::NoRegistry, "", expected)
                .found(id)
                .into());
        };
        match source.schema(id).await? {
            Some(schema) => {
                self.schemas.learn(id, &schema);
                Ok(())
            }
            None => {
                let expected = "the id of a registered schema";
                Err(Fault::new(FaultCode::UnknownSchemaId, "", expected)
                    .found(id)
                    .into())
            }
        }
    }

    /// Makes a schema known under an id, as if it had been fetched.
    pub fn learn_schema(&self, id: u32, schema: &SchemaText) {
        self.schemas.learn(id, schema);
    }

    /// Makes an Avro schema known for single-object encoding and returns its fingerprint
    /// (CRC-64-AVRO of the canonical form). The shipped schemas are known from the start.
    ///
    /// # Errors
    /// A sentence about what is wrong with the schema.
    pub fn learn_fingerprint(&self, schema: &SchemaText) -> Result<u64, String> {
        self.schemas.learn_fingerprint(schema)
    }

    /// Decodes a message with the schemas known so far; does no IO.
    ///
    /// # Errors
    /// See [`Obstacle`].
    pub fn try_decode<'m>(
        &self,
        message: &Message<'m>,
        topic: &TopicConfig,
    ) -> Result<Decoded<'m>, Obstacle> {
        let Some(bytes) = message.value else {
            return Ok(tombstone(message, topic.kind)?);
        };
        let bytes_max = topic.message_bytes_max;
        if bytes.len() as u64 > bytes_max.bytes() {
            let expected = format!("at most {bytes_max}");
            return Err(Fault::new(FaultCode::TooLong, "", expected)
                .found(bytes.len())
                .into());
        }
        let takes_events = matches!(topic.format, TopicFormat::Auto | TopicFormat::CloudEvents);
        if takes_events && let Some(attributes) = cloud_event::from_headers(message)? {
            let inner = Inner::of(attributes.content_type.as_deref())?;
            let body = envelope::open(bytes, inner.format, inner.content)?;
            let decoded = self.body(body, message, topic)?;
            return Ok(filled(decoded, attributes, topic));
        }
        let content = match topic.format {
            TopicFormat::Auto | TopicFormat::CloudEvents => {
                Content::of(message.text_header("content-type"))?
            }
            // The topic has said it; a wrong header does no harm.
            _ => Content::Untold,
        };
        match envelope::open(bytes, topic.format, content)? {
            Body::CloudEvent(bytes) => self.structured(bytes, message, topic),
            body => self.body(body, message, topic),
        }
    }

    fn structured<'m>(
        &self,
        bytes: &'m [u8],
        message: &Message<'m>,
        topic: &TopicConfig,
    ) -> Result<Decoded<'m>, Obstacle> {
        let (attributes, data) = cloud_event::from_json(bytes)?;
        let decoded = match &data {
            Data::Json(json) => {
                let json: &'m str = json.get();
                self.body(Body::Json(json.as_bytes()), message, topic)?
            }
            Data::Bytes(bytes) => {
                let inner = Inner::of(attributes.content_type.as_deref())?;
                let body = envelope::open(bytes, inner.format, inner.content)?;
                let keyed = Message {
                    key: message.key,
                    ..Message::default()
                };
                owned(self.body(body, &keyed, topic)?)
            }
        };
        Ok(filled(decoded, attributes, topic))
    }

    fn body<'m>(
        &self,
        body: Body<'m>,
        message: &Message<'m>,
        topic: &TopicConfig,
    ) -> Result<Decoded<'m>, Obstacle> {
        match body {
            Body::Json(json) => Ok(from_json(json, message, topic)?),
            Body::Registered(id, payload) => self.registered(id, payload, message, topic),
            Body::SingleObject(fingerprint, datum) => {
                let Some(compiled) = self.schemas.by_fingerprint(fingerprint) else {
                    let expected = "the fingerprint of a shipped or configured schema";
                    let fault = Fault::new(FaultCode::UnknownFingerprint, "", expected);
                    return Err(fault.found(format!("{fingerprint:016x}")).into());
                };
                Ok(from_compiled(&compiled, datum, message, topic)?)
            }
            Body::Protobuf(payload) => {
                let descriptor = match topic.kind {
                    RecordKind::Event => {
                        return Ok(Decoded::Event(protobuf::shipped_event(payload)?));
                    }
                    RecordKind::Item => &self.item_message,
                    RecordKind::User => &self.user_message,
                    RecordKind::Any => {
                        let expected = "a registry header: no shipped message is of kind any";
                        return Err(Fault::new(FaultCode::UnknownFormat, "", expected).into());
                    }
                };
                let value = protobuf::value(payload, descriptor)?;
                Ok(from_value(value, message, topic.kind, false)?)
            }
            Body::CloudEvent(_) => {
                let expected = "data that is not a CloudEvent itself";
                Err(Fault::new(FaultCode::BadCloudEvent, "data", expected).into())
            }
        }
    }

    fn registered<'m>(
        &self,
        id: u32,
        payload: &'m [u8],
        message: &Message<'m>,
        topic: &TopicConfig,
    ) -> Result<Decoded<'m>, Obstacle> {
        let Some(compiled) = self.schemas.by_id(id) else {
            return Err(Obstacle::NeedsSchema(id));
        };
        let is_wanted = match (topic.format, compiled.as_ref()) {
            (TopicFormat::Auto | TopicFormat::CloudEvents, _) | (_, Compiled::Unusable(_)) => true,
            (TopicFormat::Json, of) => matches!(of, Compiled::Json(_)),
            (TopicFormat::Avro, of) => matches!(of, Compiled::Avro(_)),
            (TopicFormat::Protobuf, of) => matches!(of, Compiled::Protobuf(_)),
        };
        if !is_wanted {
            let expected = "a schema in the language of the topic";
            return Err(Fault::new(FaultCode::UnknownFormat, "", expected)
                .found(id)
                .into());
        }
        Ok(from_compiled(&compiled, payload, message, topic)?)
    }
}

/// How the data inside a CloudEvent is read.
struct Inner {
    format: TopicFormat,
    content: Content,
}

impl Inner {
    fn of(content_type: Option<&str>) -> Result<Self, Fault> {
        let content = Content::of(content_type)?;
        let format = match content {
            Content::Json => TopicFormat::Json,
            Content::Avro => TopicFormat::Avro,
            Content::Protobuf => TopicFormat::Protobuf,
            Content::CloudEventJson | Content::Untold => TopicFormat::Auto,
        };
        Ok(Self { format, content })
    }
}

fn shipped_message(kind: RecordKind) -> MessageDescriptor {
    let schema = shipped(kind, SchemaType::Protobuf).expect("the kind has a shipped schema");
    let text = SchemaText::new(SchemaType::Protobuf, schema.text);
    match Compiled::new(&text) {
        Compiled::Protobuf(file) => message_at(&file, &[0]).expect("the file has a message"),
        other => unreachable!("the shipped schema is valid Protobuf, not {other:?}"),
    }
}

fn tombstone<'m>(message: &Message<'m>, kind: RecordKind) -> Result<Decoded<'m>, Fault> {
    let id_field = match kind {
        RecordKind::Event => {
            return Err(Fault::new(FaultCode::Empty, "", "a message with a payload"));
        }
        RecordKind::Any => return Ok(Decoded::Any(Value::Null)),
        RecordKind::Item => ITEM_FIELDS[0],
        RecordKind::User => USER_FIELDS[0],
    };
    let id = message.text_key().ok_or_else(|| {
        Fault::new(
            FaultCode::Missing,
            id_field,
            "the id as the key of a message without payload",
        )
    })?;
    let fields = EntityFields {
        id: Cow::Borrowed(id),
        change: EntityChange::Delete,
    };
    Ok(match kind {
        RecordKind::User => Decoded::User(fields),
        _ => Decoded::Item(fields),
    })
}

fn from_json<'m>(
    json: &'m [u8],
    message: &Message<'m>,
    topic: &TopicConfig,
) -> Result<Decoded<'m>, Fault> {
    if topic.kind == RecordKind::Event {
        return json::event(json, topic.unknown_fields).map(Decoded::Event);
    }
    let refuse_unknown = topic.unknown_fields == UnknownFields::Refuse;
    from_value(json::value(json)?, message, topic.kind, refuse_unknown)
}

fn from_value<'m>(
    value: Value,
    message: &Message<'m>,
    kind: RecordKind,
    refuse_unknown: bool,
) -> Result<Decoded<'m>, Fault> {
    let key = message.text_key();
    match kind {
        RecordKind::Item => entity(value, &ITEM_FIELDS, key, refuse_unknown).map(Decoded::Item),
        RecordKind::User => entity(value, &USER_FIELDS, key, refuse_unknown).map(Decoded::User),
        RecordKind::Any => Ok(Decoded::Any(value)),
        RecordKind::Event => {
            let json = value.to_string();
            let fields = json::event_text(&json, UnknownFields::Ignore)?;
            Ok(Decoded::Event(fields.into_owned()))
        }
    }
}

fn from_compiled<'m>(
    compiled: &Compiled,
    payload: &'m [u8],
    message: &Message<'m>,
    topic: &TopicConfig,
) -> Result<Decoded<'m>, Fault> {
    let is_event = topic.kind == RecordKind::Event;
    match compiled {
        Compiled::Unusable(fault) => Err(fault.clone()),
        Compiled::Avro(plan) if is_event => plan.event(payload).map(Decoded::Event),
        Compiled::Avro(plan) => from_value(plan.value(payload)?, message, topic.kind, false),
        Compiled::Protobuf(file) => {
            let (path, payload) = protobuf::message_path(payload)?;
            let Some(descriptor) = message_at(file, &path) else {
                let expected = "indexes of a message of the schema";
                let fault = Fault::new(FaultCode::BadSchema, "", expected);
                return Err(fault.found(format!("{path:?}")));
            };
            if is_event {
                return protobuf::event(payload, &descriptor).map(Decoded::Event);
            }
            from_value(
                protobuf::value(payload, &descriptor)?,
                message,
                topic.kind,
                false,
            )
        }
        Compiled::Json(validator) => {
            if topic.check_json_schema {
                check(validator, payload)?;
            }
            from_json(payload, message, topic)
        }
    }
}

fn check(validator: &jsonschema::Validator, payload: &[u8]) -> Result<(), Fault> {
    let value = json::value(payload)?;
    let Err(error) = validator.validate(&value) else {
        return Ok(());
    };
    let path = error.instance_path().to_string();
    let field = path.trim_start_matches('/').replace('/', ".");
    let expected = format!("what the schema asks for ({})", error.schema_path());
    let found = error.instance().to_string();
    Err(Fault::new(FaultCode::SchemaViolation, field, expected).found(found))
}

fn filled<'m>(
    mut decoded: Decoded<'m>,
    attributes: Attributes<'m>,
    topic: &TopicConfig,
) -> Decoded<'m> {
    if let Decoded::Event(fields) = &mut decoded {
        cloud_event::fill(fields, attributes, topic);
    }
    decoded
}

/// Copies what borrows the bytes inside a base64 text.
fn owned<'m>(decoded: Decoded<'_>) -> Decoded<'m> {
    let entity = |fields: EntityFields<'_>| EntityFields {
        id: Cow::Owned(fields.id.into_owned()),
        change: fields.change,
    };
    match decoded {
        Decoded::Event(fields) => Decoded::Event(fields.into_owned()),
        Decoded::Item(fields) => Decoded::Item(entity(fields)),
        Decoded::User(fields) => Decoded::User(entity(fields)),
        Decoded::Any(value) => Decoded::Any(value),
    }
}
