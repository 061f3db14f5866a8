//! Why an event could not be read: the field, the rule and the value.
//!
//! It runs only after the fast parse has failed, so it may take its time: the event is read again,
//! field by field, against one table of what each field should be.

use nowcast_types::{Refusal, RefusalCode};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

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

/// The fields of an event, one line each.
const FIELDS: [(&str, Kind); 15] = [
    ("event_id", Kind::Text),
    ("event_type", Kind::Text),
    ("user_id", Kind::Text),
    ("session_id", Kind::Text),
    ("item_id", Kind::Text),
    ("timestamp", Kind::Time),
    ("value", Kind::Number),
    ("slot", Kind::Text),
    ("request_id", Kind::Text),
    ("device_type", Kind::Text),
    ("location", Kind::Text),
    ("utc_offset_minutes", Kind::Integer),
    ("properties", Kind::Object),
    ("consent", Kind::Consent),
    ("schema_version", Kind::Integer),
];

impl Kind {
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
    fn check(self, json: &str) -> Option<RefusalCode> {
        let first = json.bytes().next().unwrap_or_default();
        let is_number = first == b'-' || first.is_ascii_digit();
        let is_whole = is_number && !json.contains(['.', 'e', 'E']);
        let text = || match (first, serde_json::from_str::<String>(json)) {
            (b'"', Ok(_)) => None,
            (b'"', Err(_)) => Some(RefusalCode::Malformed),
            _ => Some(RefusalCode::WrongType),
        };
        let whole = || match serde_json::from_str::<i64>(json) {
            Ok(_) => None,
            Err(_) if is_whole => Some(RefusalCode::OutOfRange),
            Err(_) => Some(RefusalCode::WrongType),
        };
        match self {
            _ if json == "null" => None,
            Self::Text => text(),
            Self::Time if first == b'"' => text(),
            Self::Time | Self::Integer => whole(),
            Self::Number => match serde_json::from_str::<f64>(json) {
                Ok(_) => None,
                Err(_) if is_number => Some(RefusalCode::OutOfRange),
                Err(_) => Some(RefusalCode::WrongType),
            },
            Self::Object => (first != b'{').then_some(RefusalCode::WrongType),
            Self::Consent => {
                let parsed = serde_json::from_str::<nowcast_engine::ConsentDraft>(json);
                (first != b'{' || parsed.is_err()).then_some(RefusalCode::WrongType)
            }
        }
    }
}

/// The reason why `json` is not an event, given the parser's own complaint.
#[must_use]
pub fn diagnose(json: &str, error: &serde_json::Error) -> Refusal {
    let Ok(fields) = serde_json::from_str::<Fields<'_>>(json) else {
        if serde_json::from_str::<&RawValue>(json).is_ok() {
            return Refusal::new(RefusalCode::WrongType, "", "an event as a JSON object")
                .with_value(json);
        }
        return malformed(error);
    };
    for (at, (name, raw)) in fields.0.iter().enumerate() {
        let Some((_, kind)) = FIELDS.iter().find(|(field, _)| *field == name.as_str()) else {
            let names = FIELDS.map(|(field, _)| field).join(", ");
            let name: String = name.chars().take(64).collect();
            return Refusal::new(
                RefusalCode::UnknownField,
                name,
                format!("one of {names}; anything else goes into `properties`"),
            );
        };
        if fields.0[..at].iter().any(|(earlier, _)| earlier == name) {
            return Refusal::new(RefusalCode::Malformed, name.as_str(), "each field once");
        }
        if let Some(code) = kind.check(raw.get()) {
            let refusal = Refusal::new(code, name.as_str(), kind.expected());
            let may_be_echoed = !matches!(name.as_str(), "user_id" | "session_id");
            return if may_be_echoed {
                refusal.with_value(raw.get())
            } else {
                refusal
            };
        }
    }
    malformed(error)
}

fn malformed(error: &serde_json::Error) -> Refusal {
    let expected = format!("valid JSON; it breaks at column {}", error.column());
    Refusal::new(RefusalCode::Malformed, "", expected)
}

/// The fields of an object as they stand, duplicates included.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
                    // One more than there are names is enough to find a wrong one.
                    if fields.len() <= FIELDS.len() {
                        fields.push((name, raw));
                    }
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_engine::EventDraft;

    #[test]
    fn the_field_and_the_rule_are_named() {
        use RefusalCode as Code;
        for (json, code, field) in [
            ("7", Code::WrongType, ""),
            ("[]", Code::WrongType, ""),
            (r#"{"user_id":5}"#, Code::WrongType, "user_id"),
            (r#"{"item_id":"\ud800"}"#, Code::Malformed, "item_id"),
            (r#"{"item_id":{"a":1}}"#, Code::WrongType, "item_id"),
            (r#"{"value":"5"}"#, Code::WrongType, "value"),
            (r#"{"value":1e999}"#, Code::OutOfRange, "value"),
            (r#"{"timestamp":1.5}"#, Code::WrongType, "timestamp"),
            (r#"{"timestamp":[1]}"#, Code::WrongType, "timestamp"),
            (
                r#"{"timestamp":99999999999999999999999}"#,
                Code::OutOfRange,
                "timestamp",
            ),
            (r#"{"consent":{"sell":true}}"#, Code::WrongType, "consent"),
            (r#"{"consent":["train"]}"#, Code::WrongType, "consent"),
            (
                r#"{"schema_version":"1"}"#,
                Code::WrongType,
                "schema_version",
            ),
            (r#"{"usr":"a"}"#, Code::UnknownField, "usr"),
            (r#"{"slot":"a","slot":"b"}"#, Code::Malformed, "slot"),
            ("{\"slot\":", Code::Malformed, ""),
        ] {
            let error = serde_json::from_str::<EventDraft<'_>>(json).unwrap_err();
            let refusal = diagnose(json, &error);
            assert_eq!(
                (refusal.code, refusal.field.as_str()),
                (code, field),
                "{json}"
            );
        }
    }

    #[test]
    fn raw_user_ids_are_not_echoed() {
        let json = r#"{"user_id":12345}"#;
        let error = serde_json::from_str::<EventDraft<'_>>(json).unwrap_err();
        assert_eq!(diagnose(json, &error).value, None);
    }
}
