//! Changes of items and users on their way in: JSON checked against the limits and turned into
//! what the log stores.
//!
//! A change of an item is stored whole, already merged, so that the catalogue's fold needs no
//! earlier state to understand it. A change of a user is merged by the fold itself, which owns
//! the user's record.

use crate::ingest::rules::{check_id, check_nesting};
use nowcast_types::{AttributeValue, Item, Limits, Refusal, RefusalCode};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Most tags of an item; more would crowd out everything else in its vector.
const TAGS_MAX: usize = 64;
/// Most numbers of one attribute: embeddings in use have a few hundred to 1,536.
const NUMBERS_MAX: usize = 2048;
/// Most attributes of an item or user.
const ATTRIBUTES_MAX: usize = 64;

/// Reads an item and checks it.
///
/// # Errors
/// The first broken rule, with the path of its field.
pub fn item_from_json(value: &Value, limits: &Limits) -> Result<Item, Refusal> {
    let fields = object(value, "")?;
    let mut item = Item::default();
    for (name, value) in fields {
        match name.as_str() {
            "categories" => item.categories = texts(name, value, limits.categories_max, limits)?,
            "tags" => item.tags = texts(name, value, TAGS_MAX, limits)?,
            "attributes" => {
                let fields = object(value, name)?;
                check_count(name, fields.len(), ATTRIBUTES_MAX)?;
                for (key, value) in fields {
                    let path = format!("attributes.{key}");
                    check_id(&path, key, limits.id_bytes_max)?;
                    item.attributes
                        .insert(key.clone(), attribute(&path, value, limits)?);
                }
            }
            "published_at" => item.published_at = time(name, value)?,
            "expires_at" => item.expires_at = time(name, value)?,
            "available" => {
                item.available = value
                    .as_bool()
                    .ok_or_else(|| wrong_type(name, "true or false", value))?;
            }
            _ => {
                return Err(unknown_field(
                    name,
                    "one of categories, tags, attributes, published_at, expires_at, available",
                ));
            }
        }
    }
    let bytes = serde_json::to_string(&item).map_or(usize::MAX, |text| text.len());
    check_bytes("", bytes, limits)?;
    Ok(item)
}

/// A user's record as a client sends it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct UserDraft {
    /// The segment, such as `premium`; the empty text after an explicit `null`.
    pub segment: Option<String>,
    /// Other attributes, as a JSON object.
    pub attributes: Option<String>,
}

/// Reads a user's record and checks it. `null` for the segment means: none from now on.
///
/// # Errors
/// The first broken rule, with the path of its field.
pub fn user_from_json(value: &Value, limits: &Limits) -> Result<UserDraft, Refusal> {
    let fields = object(value, "")?;
    let mut draft = UserDraft::default();
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("segment", Value::Null) => draft.segment = Some(String::new()),
            ("segment", Value::String(text)) => {
                check_id(name, text, limits.id_bytes_max)?;
                draft.segment = Some(text.clone());
            }
            ("segment", _) => return Err(wrong_type(name, "a text or null", value)),
            ("attributes", _) => {
                let fields = object(value, name)?;
                check_count(name, fields.len(), ATTRIBUTES_MAX)?;
                let text = value.to_string();
                check_bytes(name, text.len(), limits)?;
                check_nesting(name, &text, limits.nesting_max)?;
                draft.attributes = Some(text);
            }
            _ => return Err(unknown_field(name, "one of segment, attributes")),
        }
    }
    Ok(draft)
}

/// Applies a JSON merge patch (RFC 7396) to `target`.
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else {
        return;
    };
    for (name, change) in changes {
        if change.is_null() {
            fields.remove(name);
        } else {
            merge_patch(fields.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

fn object<'v>(value: &'v Value, field: &str) -> Result<&'v Map<String, Value>, Refusal> {
    value
        .as_object()
        .ok_or_else(|| wrong_type(field, "a JSON object", value))
}

fn texts(
    field: &str,
    value: &Value,
    count_max: usize,
    limits: &Limits,
) -> Result<Vec<String>, Refusal> {
    let list = value
        .as_array()
        .ok_or_else(|| wrong_type(field, "a list of texts", value))?;
    check_count(field, list.len(), count_max)?;
    let text = |entry: &Value| {
        let text = entry
            .as_str()
            .ok_or_else(|| wrong_type(field, "a list of texts", entry))?;
        check_id(field, text, limits.id_bytes_max)?;
        Ok(text.to_owned())
    };
    list.iter().map(text).collect()
}

fn attribute(path: &str, value: &Value, limits: &Limits) -> Result<AttributeValue, Refusal> {
    const EXPECTED: &str = "a truth value, a number, a text, or a list of texts or of numbers";
    match value {
        Value::Bool(flag) => Ok(AttributeValue::Bool(*flag)),
        Value::Number(number) => number
            .as_f64()
            .filter(|number| number.is_finite())
            .map(AttributeValue::Number)
            .ok_or_else(|| wrong_type(path, EXPECTED, value)),
        Value::String(text) => Ok(AttributeValue::Text(text.clone())),
        Value::Array(list) if list.first().is_some_and(Value::is_number) => {
            check_count(path, list.len(), NUMBERS_MAX)?;
            let number = |entry: &Value| entry.as_f64().filter(|number| number.is_finite());
            let numbers: Option<Vec<f64>> = list.iter().map(number).collect();
            let numbers = numbers.ok_or_else(|| wrong_type(path, "a list of numbers", value))?;
            Ok(AttributeValue::Numbers(numbers))
        }
        Value::Array(_) => Ok(AttributeValue::Texts(texts(path, value, TAGS_MAX, limits)?)),
        Value::Null | Value::Object(_) => Err(wrong_type(path, EXPECTED, value)),
    }
}

fn time(field: &str, value: &Value) -> Result<Option<nowcast_types::Timestamp>, Refusal> {
    use crate::ingest::draft::Text;
    use crate::ingest::when::When;
    let when = match value {
        Value::Null => return Ok(None),
        Value::String(text) => When::Text(Text::from(text.as_str())),
        Value::Number(number) => {
            let ms = number.as_i64();
            When::Ms(ms.ok_or_else(|| wrong_type(field, "whole milliseconds since 1970", value))?)
        }
        _ => {
            return Err(wrong_type(
                field,
                "milliseconds since 1970, or RFC 3339 text",
                value,
            ));
        }
    };
    let (timestamp, _) = when.resolve().map_err(|refusal| Refusal {
        field: field.to_owned(),
        ..refusal
    })?;
    Ok(Some(timestamp))
}

fn check_count(field: &str, count: usize, count_max: usize) -> Result<(), Refusal> {
    if count <= count_max {
        return Ok(());
    }
    let expected = format!("at most {count_max} entries");
    Err(Refusal::new(RefusalCode::TooLong, field, expected).with_value(count))
}

fn check_bytes(field: &str, bytes: usize, limits: &Limits) -> Result<(), Refusal> {
    // The bound of an event's properties is also that of an item's or user's record.
    let bytes_max = limits.properties_bytes_max;
    if bytes as u64 <= bytes_max.bytes() {
        return Ok(());
    }
    let expected = format!("at most {bytes_max} of JSON");
    Err(Refusal::new(RefusalCode::TooLong, field, expected))
}

fn wrong_type(field: &str, expected: &str, value: &Value) -> Refusal {
    Refusal::new(RefusalCode::WrongType, field, expected).with_value(value)
}

fn unknown_field(field: &str, expected: &str) -> Refusal {
    Refusal::new(RefusalCode::UnknownField, field, expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_types::{ByteSize, Span, Timestamp};
    use serde_json::json;

    fn limits() -> Limits {
        Limits {
            id_bytes_max: 16,
            body_bytes_max: ByteSize(1 << 20),
            batch_events_max: 10,
            nesting_max: 3,
            properties_bytes_max: ByteSize(256),
            categories_max: 2,
            clock_ahead_max: Span(0),
            event_age_max: Span(0),
        }
    }

    #[test]
    fn an_item_is_read_with_all_its_fields() {
        let item = item_from_json(
            &json!({
                "categories": ["a", "b"], "tags": ["t"], "available": false,
                "attributes": {"price": 3, "title": "T", "on": true, "l": ["x"], "v": [1, 0.5]},
                "published_at": "1970-01-01T00:00:01Z", "expires_at": 2000
            }),
            &limits(),
        )
        .unwrap();
        assert_eq!(item.published_at, Some(Timestamp(1000)));
        assert_eq!(item.expires_at, Some(Timestamp(2000)));
        assert_eq!(item.attributes["price"], AttributeValue::Number(3.0));
        let listed = AttributeValue::Numbers(vec![1.0, 0.5]);
        assert_eq!(item.attributes["v"], listed);
        assert!(!item.available);
    }

    #[test]
    fn a_bad_item_names_the_field() {
        use RefusalCode as Code;
        for (item, code, field) in [
            (json!([]), Code::WrongType, ""),
            (json!({"category": "a"}), Code::UnknownField, "category"),
            (json!({"categories": "a"}), Code::WrongType, "categories"),
            (
                json!({"categories": ["a", "b", "c"]}),
                Code::TooLong,
                "categories",
            ),
            (json!({"tags": [1]}), Code::WrongType, "tags"),
            (json!({"tags": [""]}), Code::Empty, "tags"),
            (
                json!({"attributes": {"a": [1, "x"]}}),
                Code::WrongType,
                "attributes.a",
            ),
            (
                json!({"attributes": {"a": ["x", 1]}}),
                Code::WrongType,
                "attributes.a",
            ),
            (
                json!({"attributes": {"a": vec![0.5; NUMBERS_MAX + 1]}}),
                Code::TooLong,
                "attributes.a",
            ),
            (
                json!({"attributes": {"a": {}}}),
                Code::WrongType,
                "attributes.a",
            ),
            (
                json!({"attributes": {"a": null}}),
                Code::WrongType,
                "attributes.a",
            ),
            (json!({"available": 1}), Code::WrongType, "available"),
            (json!({"expires_at": 1.5}), Code::WrongType, "expires_at"),
            (json!({"expires_at": "soon"}), Code::Malformed, "expires_at"),
            (
                json!({"attributes": {"a": "x".repeat(300)}}),
                Code::TooLong,
                "",
            ),
        ] {
            let refusal = item_from_json(&item, &limits()).unwrap_err();
            assert_eq!(
                (refusal.code, refusal.field.as_str()),
                (code, field),
                "{item}"
            );
        }
    }

    #[test]
    fn a_user_may_lose_the_segment() {
        let draft = user_from_json(&json!({"segment": null}), &limits()).unwrap();
        assert_eq!(draft.segment.as_deref(), Some(""));
        let draft = user_from_json(&json!({"attributes": {"age": 3}}), &limits()).unwrap();
        assert_eq!(draft.segment, None);
        assert_eq!(draft.attributes.as_deref(), Some(r#"{"age":3}"#));
        assert!(user_from_json(&json!({"segment": 1}), &limits()).is_err());
        assert!(user_from_json(&json!({"name": "Ann"}), &limits()).is_err());
    }

    #[test]
    fn merge_patch_follows_the_examples_of_rfc_7396() {
        for (target, patch, result) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (json!(["a"]), json!({"a":1}), json!({"a":1})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (
                json!({}),
                json!({"a":{"bb":{"ccc":null}}}),
                json!({"a":{"bb":{}}}),
            ),
        ] {
            let mut merged = target.clone();
            merge_patch(&mut merged, &patch);
            assert_eq!(merged, result, "{target} patched with {patch}");
        }
    }
}
