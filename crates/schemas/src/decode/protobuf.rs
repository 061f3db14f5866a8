//! Protobuf messages into the fields of the shipped schemas: our own message by a fixed struct,
//! any other by its descriptor, field by field of the same name.
//!
//! Presence is Protobuf's: a proto3 field without `optional` that holds its default was not sent.
//! Values of an enum lose their conventional prefix, so `EVENT_TYPE_CLICK` is a `click`.

use crate::cell::{Cell, EventField};
use crate::fault::{Fault, FaultCode};
use crate::fields::{ConsentFields, EventFields, When};
use crate::shipped::EventMessage;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value as Wire,
};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Decodes the shipped message.
pub(super) fn shipped_event(bytes: &[u8]) -> Result<EventFields<'static>, Fault> {
    let message =
        EventMessage::decode(bytes).map_err(|error| malformed("nowcast.v1.Event", &error))?;
    let mut fields = EventFields {
        event_id: message.event_id.map(Cow::Owned),
        event_type: message.event_type.map(Cow::Owned),
        user_id: message.user_id.map(Cow::Owned),
        session_id: message.session_id.map(Cow::Owned),
        item_id: message.item_id.map(Cow::Owned),
        timestamp: message.timestamp.map(When::Ms),
        slot: message.slot.map(Cow::Owned),
        request_id: message.request_id.map(Cow::Owned),
        device_type: message.device_type.map(Cow::Owned),
        location: message.location.map(Cow::Owned),
        utc_offset_minutes: message.utc_offset_minutes.map(i64::from),
        consent: message.consent.map(|consent| ConsentFields {
            personalize: consent.personalize,
            train: consent.train,
        }),
        schema_version: message.schema_version.map(i64::from),
        ..EventFields::default()
    };
    if let Some(value) = message.value {
        fields.set(field("value"), Cell::Number(value))?;
    }
    if let Some(properties) = message.properties {
        fields.set(field("properties"), Cell::Composed(struct_json(properties)))?;
    }
    Ok(fields)
}

fn field(name: &str) -> EventField {
    EventField::from_name(name).expect("a field of the shipped schema")
}

fn malformed(name: &str, error: &dyn std::fmt::Display) -> Fault {
    let expected = format!("a Protobuf message {name}");
    Fault::new(FaultCode::Malformed, "", expected).found(error)
}

/// Decodes a message of any type into an event, field by field of the same name.
pub(super) fn event(
    bytes: &[u8],
    descriptor: &MessageDescriptor,
) -> Result<EventFields<'static>, Fault> {
    let message = dynamic(bytes, descriptor)?;
    let mut fields = EventFields::default();
    for (described, value) in message.fields() {
        if let Some(target) = EventField::from_name(described.name()) {
            fields.set(target, cell(&described, value))?;
        }
    }
    Ok(fields)
}

/// Decodes a message of any type into a JSON object with the fields' own names.
pub(super) fn value(bytes: &[u8], descriptor: &MessageDescriptor) -> Result<Value, Fault> {
    Ok(message_json(&dynamic(bytes, descriptor)?))
}

fn dynamic(bytes: &[u8], descriptor: &MessageDescriptor) -> Result<DynamicMessage, Fault> {
    DynamicMessage::decode(descriptor.clone(), bytes)
        .map_err(|error| malformed(descriptor.full_name(), &error))
}

fn cell(described: &FieldDescriptor, value: &Wire) -> Cell<'static> {
    match value {
        Wire::Bool(flag) => Cell::Bool(*flag),
        Wire::I32(int) => Cell::Int(i64::from(*int)),
        Wire::I64(int) => Cell::Int(*int),
        Wire::U32(int) => Cell::Int(i64::from(*int)),
        // A number beyond the range of all fields is refused by its range, not by its type.
        Wire::U64(int) => Cell::Int(i64::try_from(*int).unwrap_or(i64::MAX)),
        // Through the shortest decimal text, so that 9.99f32 is 9.99 and not 9.98999977.
        Wire::F32(number) => Cell::Number(number.to_string().parse().unwrap_or(f64::from(*number))),
        Wire::F64(number) => Cell::Number(*number),
        Wire::String(text) => Cell::Text(Cow::Owned(text.clone())),
        Wire::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Cell::Text(Cow::Owned(text.to_owned())),
            Err(_) => Cell::Composed(Value::String(STANDARD.encode(bytes))),
        },
        Wire::EnumNumber(number) => symbol(described, *number),
        Wire::Message(message) => message_cell(message),
        Wire::List(list) => {
            let entries = list.iter().map(|entry| cell(described, entry).into_json());
            Cell::Composed(Value::Array(entries.collect()))
        }
        Wire::Map(map) => {
            let Kind::Message(entry) = described.kind() else {
                return Cell::Null;
            };
            let described = entry.map_entry_value_field();
            let members = map
                .iter()
                .map(|(key, value)| (map_key(key), cell(&described, value).into_json()));
            Cell::Composed(Value::Object(members.collect()))
        }
    }
}

fn map_key(key: &MapKey) -> String {
    match key {
        MapKey::Bool(flag) => flag.to_string(),
        MapKey::I32(int) => int.to_string(),
        MapKey::I64(int) => int.to_string(),
        MapKey::U32(int) => int.to_string(),
        MapKey::U64(int) => int.to_string(),
        MapKey::String(text) => text.clone(),
    }
}

/// The name of an enum's value without the name of the enum before it; the number if it has none.
fn symbol(described: &FieldDescriptor, number: i32) -> Cell<'static> {
    let Kind::Enum(described) = described.kind() else {
        return Cell::Int(i64::from(number));
    };
    let Some(value) = described.get_value(number) else {
        return Cell::Int(i64::from(number));
    };
    let mut prefix = String::new();
    for character in described.name().chars() {
        if character.is_uppercase() && !prefix.is_empty() {
            prefix.push('_');
        }
        prefix.extend(character.to_uppercase());
    }
    prefix.push('_');
    let name = value.name();
    Cell::Symbol(name.strip_prefix(&prefix).unwrap_or(name).to_owned())
}

/// A message as a value: the well-known types stand for what they hold, others are objects.
fn message_cell(message: &DynamicMessage) -> Cell<'static> {
    let descriptor = message.descriptor();
    let member = |name: &str| {
        let described = descriptor.get_field_by_name(name)?;
        Some(cell(&described, &message.get_field(&described)))
    };
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            let (Some(Cell::Int(seconds)), Some(Cell::Int(nanos))) =
                (member("seconds"), member("nanos"))
            else {
                return Cell::Null;
            };
            let ms = seconds.saturating_mul(1_000);
            Cell::TimeMs(ms.saturating_add(nanos.div_euclid(1_000_000)))
        }
        "google.protobuf.DoubleValue"
        | "google.protobuf.FloatValue"
        | "google.protobuf.Int64Value"
        | "google.protobuf.UInt64Value"
        | "google.protobuf.Int32Value"
        | "google.protobuf.UInt32Value"
        | "google.protobuf.BoolValue"
        | "google.protobuf.StringValue"
        | "google.protobuf.BytesValue" => member("value").unwrap_or(Cell::Null),
        "google.protobuf.Struct" | "google.protobuf.Value" | "google.protobuf.ListValue" => {
            Cell::Composed(well_known_json(message))
        }
        _ => Cell::Composed(message_json(message)),
    }
}

fn message_json(message: &DynamicMessage) -> Value {
    let members = message.fields().map(|(described, value)| {
        let name = described.name().to_owned();
        (name, cell(&described, value).into_json())
    });
    Value::Object(members.collect())
}

fn well_known_json(message: &DynamicMessage) -> Value {
    match message.descriptor().full_name() {
        "google.protobuf.Struct" => message.transcode_to().map_or(Value::Null, struct_json),
        "google.protobuf.ListValue" => message
            .transcode_to::<prost_types::ListValue>()
            .map_or(Value::Null, |list| {
                Value::Array(list.values.into_iter().map(value_json).collect())
            }),
        _ => message.transcode_to().map_or(Value::Null, value_json),
    }
}

/// A `google.protobuf.Struct` as JSON.
fn struct_json(fields: prost_types::Struct) -> Value {
    let members = fields.fields.into_iter();
    let members: Map<_, _> = members
        .map(|(name, value)| (name, value_json(value)))
        .collect();
    Value::Object(members)
}

fn value_json(value: prost_types::Value) -> Value {
    use prost_types::value::Kind as Of;
    match value.kind {
        None | Some(Of::NullValue(_)) => Value::Null,
        Some(Of::BoolValue(flag)) => Value::Bool(flag),
        Some(Of::StringValue(text)) => Value::String(text),
        Some(Of::StructValue(fields)) => struct_json(fields),
        Some(Of::ListValue(list)) => {
            Value::Array(list.values.into_iter().map(value_json).collect())
        }
        Some(Of::NumberValue(number)) => {
            // Struct has doubles only; a whole one is written as JSON writes whole numbers.
            const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
            if number.fract() == 0.0 && number.abs() <= EXACT_MAX {
                Value::from(number as i64)
            } else {
                Value::from(number)
            }
        }
    }
}

/// Reads the path to a message inside its schema that follows the registry header: zigzag
/// variable-length integers, a count and that many indexes; a lone 0 stands for the first message.
pub(super) fn message_path(bytes: &[u8]) -> Result<(Vec<usize>, &[u8]), Fault> {
    const INDEXES_MAX: usize = 32;
    let bad = || {
        let expected = format!("at most {INDEXES_MAX} message indexes behind the schema id");
        Fault::new(FaultCode::Malformed, "", expected)
    };
    let mut rest = bytes;
    let mut next = || -> Result<usize, Fault> {
        let mut value = 0_u64;
        for place in 0..5 {
            let (byte, behind) = rest.split_first().ok_or_else(bad)?;
            rest = behind;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                let signed = (value >> 1) as i64 ^ -((value & 1) as i64);
                return usize::try_from(signed).map_err(|_| bad());
            }
        }
        Err(bad())
    };
    let count = next()?;
    if count > INDEXES_MAX {
        return Err(bad());
    }
    let mut path = Vec::with_capacity(count.max(1));
    for _ in 0..count {
        path.push(next()?);
    }
    if path.is_empty() {
        path.push(0);
    }
    Ok((path, rest))
}
