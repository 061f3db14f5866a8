//! What a message says, in the words of the shipped schemas, before any rule of the edge.
//!
//! [`EventFields`] has the fields of an event as an HTTP client may send them, all optional, with
//! the same names and types, so that the edge maps it one field to one field. Items and users stay
//! JSON objects, because that is what the edge reads them from.

use crate::fault::{Fault, FaultCode};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A text that borrows the message where its format allows.
pub type Text<'m> = Cow<'m, str>;

/// A time as the producer wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When<'m> {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Ms(i64),
    /// RFC 3339 text, not yet parsed.
    Text(Text<'m>),
}

/// The purposes a user allows, each granted unless denied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConsentFields {
    /// May change this user's profile and answers.
    pub personalize: Option<bool>,
    /// May train models and item counters.
    pub train: Option<bool>,
}

/// The fields of one event; what the producer did not write is `None`.
#[derive(Debug, Clone, Default)]
pub struct EventFields<'m> {
    /// The producer's id of the event; the key of retries.
    pub event_id: Option<Text<'m>>,
    /// Name of the event type.
    pub event_type: Option<Text<'m>>,
    /// The raw user id.
    pub user_id: Option<Text<'m>>,
    /// The raw session id.
    pub session_id: Option<Text<'m>>,
    /// The item it was done to.
    pub item_id: Option<Text<'m>>,
    /// Event time.
    pub timestamp: Option<When<'m>>,
    /// The quantity.
    pub value: Option<f64>,
    /// Where on the surface it happened.
    pub slot: Option<Text<'m>>,
    /// The answer it came from.
    pub request_id: Option<Text<'m>>,
    /// The device class.
    pub device_type: Option<Text<'m>>,
    /// Where the user was.
    pub location: Option<Text<'m>>,
    /// Minutes east of Greenwich of the event's zone.
    pub utc_offset_minutes: Option<i64>,
    /// Anything else, as a JSON object.
    pub properties: Option<Cow<'m, RawValue>>,
    /// What the user allows.
    pub consent: Option<ConsentFields>,
    /// Version of the meaning of the fields.
    pub schema_version: Option<i64>,
}

/// The names of an event's fields, in the order of the shipped schema.
pub const EVENT_FIELDS: [&str; 15] = [
    "event_id",
    "event_type",
    "user_id",
    "session_id",
    "item_id",
    "timestamp",
    "value",
    "slot",
    "request_id",
    "device_type",
    "location",
    "utc_offset_minutes",
    "properties",
    "consent",
    "schema_version",
];

/// The names of an item's fields, in the order of the shipped schema.
pub const ITEM_FIELDS: [&str; 8] = [
    "item_id",
    "categories",
    "tags",
    "attributes",
    "published_at",
    "expires_at",
    "available",
    "deleted",
];

/// The names of a user's fields, in the order of the shipped schema.
pub const USER_FIELDS: [&str; 4] = ["user_id", "segment", "attributes", "deleted"];

impl EventFields<'_> {
    /// The event as a JSON object: what an HTTP client would have sent.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        let texts = [
            ("event_id", &self.event_id),
            ("event_type", &self.event_type),
            ("user_id", &self.user_id),
            ("session_id", &self.session_id),
            ("item_id", &self.item_id),
            ("slot", &self.slot),
            ("request_id", &self.request_id),
            ("device_type", &self.device_type),
            ("location", &self.location),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                fields.insert(name.to_owned(), text.as_ref().into());
            }
        }
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value);
            }
        };
        let when = |when: &When<'_>| match when {
            When::Ms(ms) => Value::from(*ms),
            When::Text(text) => Value::from(text.as_ref()),
        };
        put("timestamp", self.timestamp.as_ref().map(when));
        put("value", self.value.map(Value::from));
        put(
            "utc_offset_minutes",
            self.utc_offset_minutes.map(Value::from),
        );
        let properties = self.properties.as_ref();
        put(
            "properties",
            properties.and_then(|raw| serde_json::from_str(raw.get()).ok()),
        );
        put("consent", self.consent.map(ConsentFields::to_json));
        put("schema_version", self.schema_version.map(Value::from));
        Value::Object(fields)
    }

    /// The same fields without a borrow.
    #[must_use]
    pub fn into_owned<'o>(self) -> EventFields<'o> {
        fn text<'o>(text: Option<Text<'_>>) -> Option<Text<'o>> {
            text.map(|text| Cow::Owned(text.into_owned()))
        }
        EventFields {
            event_id: text(self.event_id),
            event_type: text(self.event_type),
            user_id: text(self.user_id),
            session_id: text(self.session_id),
            item_id: text(self.item_id),
            timestamp: self.timestamp.map(|when| match when {
                When::Ms(ms) => When::Ms(ms),
                When::Text(text) => When::Text(Cow::Owned(text.into_owned())),
            }),
            value: self.value,
            slot: text(self.slot),
            request_id: text(self.request_id),
            device_type: text(self.device_type),
            location: text(self.location),
            utc_offset_minutes: self.utc_offset_minutes,
            properties: self.properties.map(|raw| Cow::Owned(raw.into_owned())),
            consent: self.consent,
            schema_version: self.schema_version,
        }
    }
}

impl ConsentFields {
    fn to_json(self) -> Value {
        let mut fields = Map::new();
        for (name, flag) in [("personalize", self.personalize), ("train", self.train)] {
            if let Some(flag) = flag {
                fields.insert(name.to_owned(), Value::Bool(flag));
            }
        }
        Value::Object(fields)
    }
}

/// A change of an item or of a user.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityFields<'m> {
    /// Raw id of the item or user.
    pub id: Text<'m>,
    /// Its new state.
    pub change: EntityChange,
}

/// What becomes of an item or user.
#[derive(Debug, Clone, PartialEq)]
pub enum EntityChange {
    /// The whole new record as a JSON object, without its id: what `PUT` takes over HTTP.
    Put(Value),
    /// It goes: the message was a tombstone, or said `"deleted": true`.
    Delete,
}

/// What a message turned out to be.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all messages are events, and a box would cost each an allocation"
)]
pub enum Decoded<'m> {
    /// An interaction.
    Event(EventFields<'m>),
    /// A change of the catalogue.
    Item(EntityFields<'m>),
    /// A change of a user's record.
    User(EntityFields<'m>),
    /// Something else, from a topic of kind `any`; a tombstone is null.
    Any(Value),
}

/// Makes an entity's change of its JSON object: takes id and `deleted` out, checks the names, and
/// drops nulls, which mean "absent" in all three languages.
pub(crate) fn entity<'m>(
    value: Value,
    names: &[&str],
    key: Option<&'m str>,
    refuse_unknown: bool,
) -> Result<EntityFields<'m>, Fault> {
    let Value::Object(mut fields) = value else {
        return Err(Fault::new(FaultCode::WrongType, "", "an object of fields").found(value));
    };
    let id_field = names[0];
    let id = match fields.remove(id_field) {
        Some(Value::String(id)) => Some(Cow::Owned(id)),
        None | Some(Value::Null) => key.map(Cow::Borrowed),
        Some(other) => {
            return Err(Fault::new(FaultCode::WrongType, id_field, "a text").found(other));
        }
    };
    let id = id.ok_or_else(|| {
        Fault::new(
            FaultCode::Missing,
            id_field,
            "an id, as a field or as the key",
        )
    })?;
    let is_deleted = match fields.remove("deleted") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(flag)) => flag,
        Some(other) => {
            return Err(Fault::new(FaultCode::WrongType, "deleted", "true or false").found(other));
        }
    };
    let is_unknown = |name: &String| !names.contains(&name.as_str());
    if refuse_unknown && let Some(name) = fields.keys().find(|name| is_unknown(name)) {
        let expected = format!("one of {}", names.join(", "));
        return Err(Fault::new(FaultCode::UnknownField, name.as_str(), expected));
    }
    if is_deleted {
        let change = EntityChange::Delete;
        return Ok(EntityFields { id, change });
    }
    fields.retain(|name, value| !is_unknown(name) && !value.is_null());
    let change = EntityChange::Put(Value::Object(fields));
    Ok(EntityFields { id, change })
}
