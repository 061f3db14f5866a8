//! One value of a binary format on its way into an event's field: the types that Avro and Protobuf
//! share, and the one place that says which of them a field takes.

use crate::fault::{Fault, FaultCode};
use crate::fields::{ConsentFields, EventFields, Text, When};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A value as a binary format has it.
#[derive(Debug, Clone)]
pub(crate) enum Cell<'m> {
    Null,
    Bool(bool),
    Int(i64),
    Number(f64),
    Text(Text<'m>),
    /// The name of an enum's value.
    Symbol(String),
    /// An instant, in milliseconds since 1970.
    TimeMs(i64),
    /// Anything composed, and bytes.
    Composed(Value),
}

/// An event's field by its place in [`EVENT_FIELDS`](crate::fields::EVENT_FIELDS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventField(pub(crate) usize);

impl EventField {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let place = crate::fields::EVENT_FIELDS
            .iter()
            .position(|known| *known == name);
        place.map(Self)
    }

    fn name(self) -> &'static str {
        crate::fields::EVENT_FIELDS[self.0]
    }
}

impl<'m> Cell<'m> {
    /// The value as JSON; instants are milliseconds.
    pub(crate) fn into_json(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(flag),
            Self::Int(int) | Self::TimeMs(int) => Value::from(int),
            Self::Number(number) => Value::from(number),
            Self::Text(text) => Value::String(text.into_owned()),
            Self::Symbol(symbol) => Value::String(symbol),
            Self::Composed(value) => value,
        }
    }

    fn refused(self, field: &str, expected: &str) -> Fault {
        Fault::new(FaultCode::WrongType, field, expected).found(self.into_json())
    }

    fn text(self, field: &str) -> Result<Option<Text<'m>>, Fault> {
        match self {
            Self::Null => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            // `CLICK` in an enum is the `click` of the vocabulary.
            Self::Symbol(symbol) => Ok(Some(Cow::Owned(symbol.to_ascii_lowercase()))),
            other => Err(other.refused(field, "a text")),
        }
    }

    fn whole(self, field: &str) -> Result<Option<i64>, Fault> {
        match self {
            Self::Null => Ok(None),
            Self::Int(int) => Ok(Some(int)),
            other => Err(other.refused(field, "a whole number")),
        }
    }

    fn number(self, field: &str) -> Result<Option<f64>, Fault> {
        match self {
            Self::Null => Ok(None),
            Self::Int(int) => Ok(Some(int as f64)),
            Self::Number(number) if number.is_finite() => Ok(Some(number)),
            Self::Number(number) => {
                Err(Fault::new(FaultCode::OutOfRange, field, "a finite number").found(number))
            }
            other => Err(other.refused(field, "a number")),
        }
    }

    fn when(self, field: &str) -> Result<Option<When<'m>>, Fault> {
        match self {
            Self::Null => Ok(None),
            Self::Int(ms) | Self::TimeMs(ms) => Ok(Some(When::Ms(ms))),
            Self::Text(text) => Ok(Some(When::Text(text))),
            other => Err(other.refused(field, "milliseconds since 1970, or RFC 3339 text")),
        }
    }

    fn object(self, field: &str) -> Result<Option<Cow<'m, RawValue>>, Fault> {
        const EXPECTED: &str = "a map, a record, or the text of a JSON object";
        let text = match self {
            Self::Null => return Ok(None),
            Self::Text(text) if text.trim_start().starts_with('{') => text.into_owned(),
            Self::Composed(value) if value.is_object() => value.to_string(),
            other => return Err(other.refused(field, EXPECTED)),
        };
        match RawValue::from_string(text) {
            Ok(raw) => Ok(Some(Cow::Owned(raw))),
            Err(error) => Err(Fault::new(FaultCode::Malformed, field, EXPECTED).found(error)),
        }
    }

    fn consent(self, field: &str) -> Result<Option<ConsentFields>, Fault> {
        const EXPECTED: &str = "a record of `personalize` and `train`, each true or false";
        let fields = match self {
            Self::Null => return Ok(None),
            Self::Composed(Value::Object(fields)) => fields,
            other => return Err(other.refused(field, EXPECTED)),
        };
        let flag = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => {
                let fault = Fault::new(FaultCode::WrongType, name, "true or false");
                Err(fault.found(other).under(field))
            }
        };
        Ok(Some(ConsentFields {
            personalize: flag("personalize")?,
            train: flag("train")?,
        }))
    }
}

impl<'m> EventFields<'m> {
    /// Puts a value into its field.
    pub(crate) fn set(&mut self, field: EventField, cell: Cell<'m>) -> Result<(), Fault> {
        let name = field.name();
        match name {
            "event_id" => self.event_id = cell.text(name)?,
            "event_type" => self.event_type = cell.text(name)?,
            "user_id" => self.user_id = cell.text(name)?,
            "session_id" => self.session_id = cell.text(name)?,
            "item_id" => self.item_id = cell.text(name)?,
            "timestamp" => self.timestamp = cell.when(name)?,
            "value" => self.value = cell.number(name)?,
            "slot" => self.slot = cell.text(name)?,
            "request_id" => self.request_id = cell.text(name)?,
            "device_type" => self.device_type = cell.text(name)?,
            "location" => self.location = cell.text(name)?,
            "utc_offset_minutes" => self.utc_offset_minutes = cell.whole(name)?,
            "properties" => self.properties = cell.object(name)?,
            "consent" => self.consent = cell.consent(name)?,
            _ => self.schema_version = cell.whole(name)?,
        }
        Ok(())
    }
}
