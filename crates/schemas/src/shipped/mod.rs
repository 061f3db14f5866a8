//! The schemas that Nowcast ships, in three languages, compiled in.
//!
//! They say the same: tests hold their fields and types equal. Older revisions stay here for ever,
//! because messages that were written with them do. A revision adds fields; `schema_version`, a
//! field of the event, is raised only when the meaning of a field changes.

mod event_message;

pub use event_message::{ConsentMessage, EventMessage};

use crate::schema_type::SchemaType;
use crate::topic::RecordKind;

/// One shipped schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShippedSchema {
    /// What it describes.
    pub kind: RecordKind,
    /// In which language.
    pub schema_type: SchemaType,
    /// Its revision, from 1.
    pub revision: u32,
    /// Its text.
    pub text: &'static str,
}

macro_rules! shipped {
    ($($kind:ident $revision:literal $path:literal;)*) => {
        /// Every shipped schema, the older revisions of each before the newer.
        pub const SHIPPED: &[ShippedSchema] = &[$(
            ShippedSchema {
                kind: RecordKind::$kind,
                schema_type: SchemaType::Avro,
                revision: $revision,
                text: include_str!(concat!("../../schemas/", $path, ".avsc")),
            },
            ShippedSchema {
                kind: RecordKind::$kind,
                schema_type: SchemaType::Protobuf,
                revision: $revision,
                text: include_str!(concat!("../../schemas/", $path, ".proto")),
            },
            ShippedSchema {
                kind: RecordKind::$kind,
                schema_type: SchemaType::Json,
                revision: $revision,
                text: include_str!(concat!("../../schemas/", $path, ".schema.json")),
            },
        )*];
    };
}

shipped! {
    Event 1 "earlier/event.1";
    Event 2 "earlier/event.2";
    Event 3 "event";
    Item 1 "item";
    User 1 "user";
}

/// The newest shipped schema of a kind in a language; `None` for [`RecordKind::Any`].
#[must_use]
pub fn shipped(kind: RecordKind, schema_type: SchemaType) -> Option<&'static ShippedSchema> {
    let mut newest_first = SHIPPED.iter().rev();
    newest_first.find(|schema| schema.kind == kind && schema.schema_type == schema_type)
}

/// All revisions of a shipped schema, the oldest first.
pub fn revisions(
    kind: RecordKind,
    schema_type: SchemaType,
) -> impl Iterator<Item = &'static ShippedSchema> {
    let is_meant =
        move |schema: &&ShippedSchema| schema.kind == kind && schema.schema_type == schema_type;
    SHIPPED.iter().filter(is_meant)
}
