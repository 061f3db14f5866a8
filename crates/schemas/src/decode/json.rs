//! JSON into the fields of an event: one pass that borrows; only when it fails, a second, slower
//! one that says which field is wrong.

use crate::fault::{Fault, FaultCode};
use crate::fields::{ConsentFields, EVENT_FIELDS, EventFields, Text, When};
use crate::topic::UnknownFields;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor,
};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Reads a JSON event.
pub(super) fn event(bytes: &[u8], unknown: UnknownFields) -> Result<EventFields<'_>, Fault> {
    event_text(text(bytes)?, unknown)
}

/// Reads a JSON event that is known to be UTF-8.
pub(super) fn event_text(json: &str, unknown: UnknownFields) -> Result<EventFields<'_>, Fault> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let seed = EventSeed { unknown };
    let fields = seed
        .deserialize(&mut deserializer)
        .and_then(|fields| deserializer.end().map(|()| fields));
    fields.map_err(|error| diagnose(json, unknown, &error))
}

/// Reads any JSON value.
pub(super) fn value(bytes: &[u8]) -> Result<Value, Fault> {
    serde_json::from_str(text(bytes)?).map_err(|error| malformed(&error))
}

fn text(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|error| {
        let expected = format!("UTF-8; byte {} is not", error.valid_up_to());
        Fault::new(FaultCode::Malformed, "", expected)
    })
}

fn malformed(error: &serde_json::Error) -> Fault {
    let (line, column) = (error.line(), error.column());
    let expected = format!("valid JSON; it breaks at line {line} column {column}");
    Fault::new(FaultCode::Malformed, "", expected)
}

struct EventSeed {
    unknown: UnknownFields,
}

impl<'de> DeserializeSeed<'de> for EventSeed {
    type Value = EventFields<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EventSeed {
    type Value = EventFields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = EventFields::default();
        let mut seen = 0_u32;
        while let Some(Name(place)) = map.next_key()? {
            let Some(place) = place else {
                if self.unknown == UnknownFields::Refuse {
                    return Err(A::Error::custom("unknown field"));
                }
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen & (1 << place) != 0 {
                return Err(A::Error::custom("a field is there twice"));
            }
            seen |= 1 << place;
            match EVENT_FIELDS[place] {
                "event_id" => fields.event_id = opt_text(&mut map)?,
                "event_type" => fields.event_type = opt_text(&mut map)?,
                "user_id" => fields.user_id = opt_text(&mut map)?,
                "session_id" => fields.session_id = opt_text(&mut map)?,
                "item_id" => fields.item_id = opt_text(&mut map)?,
                "timestamp" => fields.timestamp = map.next_value()?,
                "value" => fields.value = map.next_value()?,
                "slot" => fields.slot = opt_text(&mut map)?,
                "request_id" => fields.request_id = opt_text(&mut map)?,
                "device_type" => fields.device_type = opt_text(&mut map)?,
                "location" => fields.location = opt_text(&mut map)?,
                "utc_offset_minutes" => fields.utc_offset_minutes = map.next_value()?,
                "properties" => fields.properties = properties(&mut map)?,
                "consent" => fields.consent = map.next_value()?,
                _ => fields.schema_version = map.next_value()?,
            }
        }
        Ok(fields)
    }
}

fn opt_text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Text<'de>>, A::Error> {
    Ok(map.next_value::<Option<TextIn<'de>>>()?.map(|text| text.0))
}

fn properties<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Cow<'de, RawValue>>, A::Error> {
    match map.next_value::<Option<&'de RawValue>>()? {
        None => Ok(None),
        Some(raw) if raw.get().starts_with('{') => Ok(Some(Cow::Borrowed(raw))),
        Some(_) => Err(A::Error::custom("properties is not an object")),
    }
}

/// The place of a field's name; `None` for a name that no field has.
struct Name(Option<usize>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
                Ok(Name(EVENT_FIELDS.iter().position(|known| *known == name)))
            }
        }
        deserializer.deserialize_identifier(NameVisitor)
    }
}

/// (`Option<Cow<str>>` would always copy: serde borrows a `Cow` only as a direct field.)
struct TextIn<'m>(Text<'m>);

impl<'de> Deserialize<'de> for TextIn<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = TextIn<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<TextIn<'de>, E> {
                Ok(TextIn(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<TextIn<'de>, E> {
                Ok(TextIn(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

impl<'de> Deserialize<'de> for When<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WhenVisitor;
        impl<'de> Visitor<'de> for WhenVisitor {
            type Value = When<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Kind::Time.expected())
            }
            fn visit_i64<E: Error>(self, ms: i64) -> Result<When<'de>, E> {
                Ok(When::Ms(ms))
            }
            fn visit_u64<E: Error>(self, ms: u64) -> Result<When<'de>, E> {
                // A number too large for the clock is refused by its range, not by its type.
                Ok(When::Ms(i64::try_from(ms).unwrap_or(i64::MAX)))
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<When<'de>, E> {
                Ok(When::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<When<'de>, E> {
                Ok(When::Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_any(WhenVisitor)
    }
}

impl<'de> Deserialize<'de> for ConsentFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ConsentVisitor;
        impl<'de> Visitor<'de> for ConsentVisitor {
            type Value = ConsentFields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Kind::Consent.expected())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = ConsentFields::default();
                let (mut has_personalize, mut has_train) = (false, false);
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    let is_repeated = match name.as_ref() {
                        "personalize" => {
                            fields.personalize = map.next_value()?;
                            std::mem::replace(&mut has_personalize, true)
                        }
                        "train" => {
                            fields.train = map.next_value()?;
                            std::mem::replace(&mut has_train, true)
                        }
                        _ => return Err(A::Error::custom("unknown purpose")),
                    };
                    if is_repeated {
                        return Err(A::Error::custom("a purpose is there twice"));
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(ConsentVisitor)
    }
}

/// What a field's JSON should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Integer,
    Time,
    Object,
    Consent,
}

impl Kind {
    fn of(field: &str) -> Self {
        match field {
            "timestamp" => Self::Time,
            "value" => Self::Number,
            "utc_offset_minutes" | "schema_version" => Self::Integer,
            "properties" => Self::Object,
            "consent" => Self::Consent,
            _ => Self::Text,
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Integer => "a whole number",
            Self::Time => "whole milliseconds since 1970, or RFC 3339 text",
            Self::Object => "a JSON object",
            Self::Consent => {
                "an object of `personalize` and `train`, each true or false, and nothing else"
            }
        }
    }

    /// The broken rule, if this JSON breaks one.
    fn check(self, json: &str) -> Option<FaultCode> {
        let first = json.bytes().next().unwrap_or_default();
        let is_number = first == b'-' || first.is_ascii_digit();
        let is_whole = is_number && !json.contains(['.', 'e', 'E']);
        let text = || match (first, serde_json::from_str::<String>(json)) {
            (b'"', Ok(_)) => None,
            (b'"', Err(_)) => Some(FaultCode::Malformed),
            _ => Some(FaultCode::WrongType),
        };
        let whole = || match serde_json::from_str::<i64>(json) {
            Ok(_) => None,
            Err(_) if is_whole => Some(FaultCode::OutOfRange),
            Err(_) => Some(FaultCode::WrongType),
        };
        match self {
            _ if json == "null" => None,
            Self::Text => text(),
            Self::Time if first == b'"' => text(),
            Self::Time | Self::Integer => whole(),
            Self::Number => match serde_json::from_str::<f64>(json) {
                Ok(_) => None,
                Err(_) if is_number => Some(FaultCode::OutOfRange),
                Err(_) => Some(FaultCode::WrongType),
            },
            Self::Object => (first != b'{').then_some(FaultCode::WrongType),
            Self::Consent => {
                let parsed = serde_json::from_str::<ConsentFields>(json);
                parsed.is_err().then_some(FaultCode::WrongType)
            }
        }
    }
}

/// The reason why `json` is not an event, given the parser's own complaint.
fn diagnose(json: &str, unknown: UnknownFields, error: &serde_json::Error) -> Fault {
    let Ok(RawFields(fields)) = serde_json::from_str::<RawFields<'_>>(json) else {
        if serde_json::from_str::<&RawValue>(json).is_ok() {
            return Fault::new(FaultCode::WrongType, "", "an event as a JSON object").found(json);
        }
        return malformed(error);
    };
    for (at, (name, raw)) in fields.iter().enumerate() {
        if !EVENT_FIELDS.contains(&name.as_str()) {
            if unknown == UnknownFields::Ignore {
                continue;
            }
            let names = EVENT_FIELDS.join(", ");
            let expected = format!("one of {names}; anything else goes into `properties`");
            let name: String = name.chars().take(64).collect();
            return Fault::new(FaultCode::UnknownField, name, expected);
        }
        if fields[..at].iter().any(|(earlier, _)| earlier == name) {
            return Fault::new(FaultCode::Malformed, name.as_str(), "each field once");
        }
        let kind = Kind::of(name);
        if let Some(code) = kind.check(raw.get()) {
            return Fault::new(code, name.as_str(), kind.expected()).found(raw.get());
        }
    }
    malformed(error)
}

/// The fields of an object as they stand, duplicates included.
struct RawFields<'a>(Vec<(String, &'a RawValue)>);

/// More fields than this are not looked at one by one.
const DIAGNOSED_FIELDS_MAX: usize = 64;

impl<'de: 'a, 'a> Deserialize<'de> for RawFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = RawFields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
                    if fields.len() < DIAGNOSED_FIELDS_MAX {
                        fields.push((name, raw));
                    }
                }
                Ok(RawFields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_without_escapes_are_borrowed() {
        let json = br#"{"event_id":"e1","item_id":"a\nb","properties":{"q":1}}"#;
        let fields = event(json, UnknownFields::Refuse).unwrap();
        assert!(matches!(fields.event_id, Some(Cow::Borrowed("e1"))));
        assert!(matches!(fields.item_id, Some(Cow::Owned(_))));
        assert!(matches!(fields.properties, Some(Cow::Borrowed(_))));
    }

    #[test]
    fn the_field_and_the_rule_are_named() {
        use FaultCode as Code;
        for (json, code, field) in [
            ("7", Code::WrongType, ""),
            ("[]", Code::WrongType, ""),
            ("{}x", Code::Malformed, ""),
            (r#"{"user_id":5}"#, Code::WrongType, "user_id"),
            (r#"{"item_id":"\ud800"}"#, Code::Malformed, "item_id"),
            (r#"{"value":"5"}"#, Code::WrongType, "value"),
            (r#"{"value":1e999}"#, Code::OutOfRange, "value"),
            (r#"{"timestamp":1.5}"#, Code::WrongType, "timestamp"),
            (r#"{"properties":[1]}"#, Code::WrongType, "properties"),
            (r#"{"consent":{"sell":true}}"#, Code::WrongType, "consent"),
            (
                r#"{"consent":{"train":true,"train":true}}"#,
                Code::WrongType,
                "consent",
            ),
            (r#"{"usr":"a"}"#, Code::UnknownField, "usr"),
            (r#"{"slot":"a","slot":"b"}"#, Code::Malformed, "slot"),
            ("{\"slot\":", Code::Malformed, ""),
        ] {
            let fault = event(json.as_bytes(), UnknownFields::Refuse).unwrap_err();
            assert_eq!((fault.code, fault.field.as_str()), (code, field), "{json}");
        }
        assert!(event(b"{\"slot\":\"\xff\"}", UnknownFields::Refuse).is_err());
    }

    #[test]
    fn unknown_fields_are_passed_over_where_the_topic_says_so() {
        let json = br#"{"usr":{"a":[1]},"slot":"home"}"#;
        let fields = event(json, UnknownFields::Ignore).unwrap();
        assert_eq!(fields.slot.as_deref(), Some("home"));
    }
}
