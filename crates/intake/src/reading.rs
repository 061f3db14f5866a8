//! From a message to what the engine takes, or to the reason why not: decoding, and the mapping of
//! database rows.

use crate::topics::{InputFormat, InputKind, InputTopic};
use nowcast_engine::LetterKind;
use nowcast_schemas::fields::EntityChange;
use nowcast_schemas::{
    Decoded, Decoder, EntityFields, EventFields, Fault, FaultCode, Message, SchemaError,
    TopicConfig,
};
use std::borrow::Cow;

/// One topic's messages, ready to be read.
#[derive(Debug, Clone)]
pub struct Reading {
    topic: InputTopic,
    decoding: TopicConfig,
}

/// What a message says.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all messages are events, and a box would cost each an allocation"
)]
pub enum Said<'m> {
    /// An interaction.
    Event(EventFields<'m>),
    /// A change of an item.
    Item(String, EntityChange),
    /// A change of a user.
    User(String, EntityChange),
    /// Nothing that changes anything: the tombstone behind a deleted row.
    Nothing,
}

impl Reading {
    /// Prepares the reading of a topic.
    #[must_use]
    pub fn new(topic: InputTopic) -> Self {
        Self {
            decoding: topic.decoding(),
            topic,
        }
    }

    /// How input is read that no configured topic explains: as its bytes tell, or as JSON.
    #[must_use]
    pub fn plain(kind: LetterKind, is_json: bool) -> Self {
        Self::new(InputTopic {
            topic: String::new(),
            kind: match kind {
                LetterKind::Event => InputKind::Events,
                LetterKind::Item => InputKind::Items,
                LetterKind::User => InputKind::Users,
            },
            format: if is_json {
                InputFormat::Json
            } else {
                InputFormat::Auto
            },
            ..InputTopic::default()
        })
    }

    /// Whether the topic's messages are never plain JSON.
    #[must_use]
    pub const fn is_binary(&self) -> bool {
        matches!(self.topic.format, InputFormat::Avro | InputFormat::Protobuf)
    }

    /// What the topic's messages are about.
    #[must_use]
    pub const fn kind(&self) -> LetterKind {
        match self.topic.kind {
            InputKind::Events => LetterKind::Event,
            InputKind::Items => LetterKind::Item,
            InputKind::Users => LetterKind::User,
        }
    }

    /// Reads a message, fetching its writer's schema if need be.
    ///
    /// # Errors
    /// [`SchemaError::Fault`] for a dead letter; any other error means that the registry did not
    /// answer, and the same message can be tried again.
    pub async fn read<'m>(
        &self,
        decoder: &Decoder,
        message: &Message<'m>,
    ) -> Result<Said<'m>, SchemaError> {
        let decoded = decoder.decode(message, &self.decoding).await?;
        Ok(match decoded {
            Decoded::Event(fields) => Said::Event(fields),
            Decoded::Item(fields) => item(fields),
            Decoded::User(fields) => user(fields),
            Decoded::Any(value) => {
                let columns = match (self.topic.format, &self.topic.columns) {
                    (InputFormat::Debezium, Some(columns)) => columns,
                    _ => return Err(no_mapping().into()),
                };
                match columns.change(self.topic.kind, &value)? {
                    None => Said::Nothing,
                    Some(fields) if self.topic.kind == InputKind::Users => user(fields),
                    Some(fields) => item(fields),
                }
            }
        })
    }
}

fn no_mapping() -> Fault {
    Fault::new(
        FaultCode::WrongType,
        "",
        "a topic with a mapping of its columns",
    )
}

fn id(id: Cow<'_, str>) -> String {
    id.into_owned()
}

fn item(fields: EntityFields<'_>) -> Said<'static> {
    Said::Item(id(fields.id), fields.change)
}

fn user(fields: EntityFields<'_>) -> Said<'static> {
    Said::User(id(fields.id), fields.change)
}
