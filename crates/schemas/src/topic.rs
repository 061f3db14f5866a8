//! What one input topic carries and how its messages are to be read.

use nowcast_types::ByteSize;
use serde::Deserialize;
use std::collections::BTreeMap;

/// How the messages of one topic are read. Every key has a default, so `{}` is a valid topic.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopicConfig {
    /// What a message is about.
    pub kind: RecordKind,
    /// Which format the messages have.
    pub format: TopicFormat,
    /// What becomes of a JSON field that the schema does not have.
    pub unknown_fields: UnknownFields,
    /// Whether JSON with a registry header is checked against the schema it names.
    pub check_json_schema: bool,
    /// Event types by the `type` of a CloudEvent. A type that is not listed is cut down to what
    /// follows its last dot: `com.shop.click` is a `click`.
    pub cloud_event_types: BTreeMap<String, String>,
    /// The event's field that takes the `subject` of a CloudEvent, if its data lacks it.
    pub cloud_event_subject: Option<SubjectField>,
    /// Largest payload.
    pub message_bytes_max: ByteSize,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            kind: RecordKind::Event,
            format: TopicFormat::Auto,
            unknown_fields: UnknownFields::Refuse,
            check_json_schema: true,
            cloud_event_types: BTreeMap::new(),
            cloud_event_subject: None,
            message_bytes_max: ByteSize(1 << 20),
        }
    }
}

/// What the messages of a topic are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// Interactions.
    #[default]
    Event,
    /// Rows of the catalogue.
    Item,
    /// Records of users.
    User,
    /// Anything, such as the envelopes of change data capture; read as a JSON value.
    Any,
}

/// The format of a topic's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicFormat {
    /// Each message tells: by its headers, then by its first bytes. Protobuf without a registry
    /// header has no mark of its own, so it needs a content type here or its own topic.
    #[default]
    Auto,
    /// JSON, plain or with a registry header.
    Json,
    /// Avro, with a registry header or single-object encoding.
    Avro,
    /// Protobuf: the shipped message, unless there is a registry header. A message cannot begin
    /// with a zero byte, so the two are told apart.
    Protobuf,
    /// CloudEvents 1.0, binary or structured.
    CloudEvents,
}

/// What becomes of a JSON field that the schema does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownFields {
    /// The message is a dead letter: a misspelt field must not be lost in silence.
    #[default]
    Refuse,
    /// The field is passed over.
    Ignore,
}

/// Where the subject of a CloudEvent goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectField {
    /// The user.
    UserId,
    /// The session.
    SessionId,
    /// The item.
    ItemId,
}
