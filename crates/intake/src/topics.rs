//! The `[intake]` section: which topics of other programs are read, and as what.

use crate::debezium::Columns;
use nowcast_log_kafka::KafkaConfig;
use nowcast_schemas::topic::{SubjectField, UnknownFields};
use nowcast_schemas::{RecordKind, RegistryClientConfig, TopicConfig, TopicFormat};
use nowcast_types::{ByteSize, Span};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// How topics of other programs are read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntakeConfig {
    /// Where the topics are: `kafka://host:port,host:port?tls=true&sasl=…`, as in `log.url`; the
    /// keys of the log's own topics have no effect.
    pub url: String,
    /// The consumer group. Several processes with one group share the partitions.
    pub group: String,
    /// Messages taken in together at most.
    pub batch_messages_max: usize,
    /// Bytes of messages taken in together, about.
    pub batch_bytes_max: ByteSize,
    /// Pause before what the log or a registry could not do is tried again.
    pub retry_after: Span,
    /// The registry of the writers' schemas; the built-in one if absent.
    #[serde(default)]
    pub registry: Option<RegistryClientConfig>,
    /// The topics.
    pub topics: Vec<InputTopic>,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            group: "nowcast-intake".to_owned(),
            batch_messages_max: 2_000,
            batch_bytes_max: ByteSize(4 << 20),
            retry_after: Span(500),
            registry: None,
            topics: Vec::new(),
        }
    }
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputTopic {
    /// Its name.
    pub topic: String,
    /// What its messages are about.
    pub kind: InputKind,
    /// How they are written.
    #[serde(default)]
    pub format: InputFormat,
    /// What becomes of a JSON field that the schema does not have.
    #[serde(default)]
    pub unknown_fields: UnknownFields,
    /// Whether JSON with a registry header is checked against the schema it names.
    #[serde(default = "yes")]
    pub check_json_schema: bool,
    /// Event types by the `type` of a CloudEvent; others are what follows the last dot.
    #[serde(default)]
    pub cloud_event_types: BTreeMap<String, String>,
    /// The event's field that takes the `subject` of a CloudEvent, if its data lacks it.
    #[serde(default)]
    pub cloud_event_subject: Option<SubjectField>,
    /// Largest payload.
    #[serde(default = "message_bytes_max")]
    pub message_bytes_max: ByteSize,
    /// Which columns of a row are which fields; for `format = "debezium"`.
    #[serde(default)]
    pub columns: Option<Columns>,
}

impl Default for InputTopic {
    fn default() -> Self {
        Self {
            topic: String::new(),
            kind: InputKind::Events,
            format: InputFormat::Auto,
            unknown_fields: UnknownFields::default(),
            check_json_schema: true,
            cloud_event_types: BTreeMap::new(),
            cloud_event_subject: None,
            message_bytes_max: message_bytes_max(),
            columns: None,
        }
    }
}

const fn yes() -> bool {
    true
}

const fn message_bytes_max() -> ByteSize {
    ByteSize(1 << 20)
}

/// What the messages of a topic are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// Interactions.
    Events,
    /// Rows of the catalogue.
    Items,
    /// Records of users.
    Users,
}

/// How the messages of a topic are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputFormat {
    /// Each message tells.
    #[default]
    Auto,
    /// JSON, plain or with a registry header.
    Json,
    /// Avro, with a registry header or single-object encoding.
    Avro,
    /// Protobuf: the shipped message, unless there is a registry header.
    Protobuf,
    /// CloudEvents 1.0, binary or structured.
    CloudEvents,
    /// Changes of database rows in Debezium's envelope, in JSON or Avro.
    Debezium,
}

impl InputTopic {
    /// How the messages are decoded, before any mapping of columns.
    #[must_use]
    pub fn decoding(&self) -> TopicConfig {
        let kind = match (self.format, self.kind) {
            (InputFormat::Debezium, _) => RecordKind::Any,
            (_, InputKind::Events) => RecordKind::Event,
            (_, InputKind::Items) => RecordKind::Item,
            (_, InputKind::Users) => RecordKind::User,
        };
        let format = match self.format {
            InputFormat::Auto | InputFormat::Debezium => TopicFormat::Auto,
            InputFormat::Json => TopicFormat::Json,
            InputFormat::Avro => TopicFormat::Avro,
            InputFormat::Protobuf => TopicFormat::Protobuf,
            InputFormat::CloudEvents => TopicFormat::CloudEvents,
        };
        TopicConfig {
            kind,
            format,
            unknown_fields: self.unknown_fields,
            check_json_schema: self.check_json_schema,
            cloud_event_types: self.cloud_event_types.clone(),
            cloud_event_subject: self.cloud_event_subject,
            message_bytes_max: self.message_bytes_max,
        }
    }

    fn check(&self) -> Result<(), String> {
        let bad = |what: &str| Err(format!("intake.topics `{}`: {what}", self.topic));
        if self.topic.is_empty() {
            return bad("a topic needs a name");
        }
        match (self.format, &self.columns) {
            (InputFormat::Debezium, None) => bad("format debezium needs `columns`"),
            (InputFormat::Debezium, Some(_)) if self.kind == InputKind::Events => {
                bad("rows of a database are items or users, not events")
            }
            (InputFormat::Debezium, Some(columns)) => match columns.check(self.kind) {
                Ok(()) => Ok(()),
                Err(what) => bad(&what),
            },
            (_, Some(_)) => bad("`columns` are for format debezium"),
            (_, None) => Ok(()),
        }
    }
}

impl IntakeConfig {
    /// Checks what cannot be checked key by key.
    ///
    /// # Errors
    /// A sentence that names the key and the rule.
    pub fn validate(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for topic in &self.topics {
            topic.check()?;
            if !seen.insert(&topic.topic) {
                return Err(format!("intake.topics: `{}` is there twice", topic.topic));
            }
        }
        if self.batch_messages_max == 0 {
            return Err("intake.batch_messages_max must be at least 1".to_owned());
        }
        if self.group.is_empty() {
            return Err("intake.group must not be empty".to_owned());
        }
        if !self.topics.is_empty() {
            self.kafka()?;
        }
        Ok(())
    }

    /// How the brokers are reached.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn kafka(&self) -> Result<KafkaConfig, String> {
        if self.url.is_empty() {
            return Err("intake.url must say where the topics are: kafka://host:port".to_owned());
        }
        let mut config = KafkaConfig::default();
        let applied = config.apply_url(&self.url);
        applied.map_err(|error| format!("intake.url: {error}"))?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(topics: &str) -> Result<(), String> {
        let mut config = IntakeConfig::default();
        #[derive(Deserialize)]
        struct Topics {
            topics: Vec<InputTopic>,
        }
        let read: Topics = serde_json::from_str(topics).map_err(|error| error.to_string())?;
        config.topics = read.topics;
        config.url = "kafka://127.0.0.1:9092".to_owned();
        config.validate()
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_topic() {
        config(r#"{"topics": []}"#).unwrap();
        config(r#"{"topics": [{"topic": "a", "kind": "events"}]}"#).unwrap();
        let good = r#"{"topics": [{"topic": "a", "kind": "items", "format": "debezium",
            "columns": {"id": "sku", "attributes": ["title"]}}]}"#;
        config(good).unwrap();
        for (bad, word) in [
            (r#"{"topics": [{"topic": "a"}]}"#, "kind"),
            (
                r#"{"topics": [{"topic": "a", "kind": "clicks"}]}"#,
                "events",
            ),
            (
                r#"{"topics": [{"topic": "a", "kind": "items", "format": "debezium"}]}"#,
                "columns",
            ),
            (
                r#"{"topics": [{"topic": "a", "kind": "items"}, {"topic": "a", "kind": "users"}]}"#,
                "twice",
            ),
        ] {
            let error = config(bad).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn topics_need_an_address() {
        let mut config = IntakeConfig::default();
        config.validate().unwrap();
        config.topics = vec![serde_json::from_str(r#"{"topic":"a","kind":"users"}"#).unwrap()];
        assert!(config.validate().unwrap_err().contains("intake.url"));
    }
}
