//! Changes of database rows in Debezium's envelope, mapped to items and users.
//!
//! The envelope is `before`, `after` and `op`, alone or below `payload` where the converter adds
//! the schema. What is created, updated or read by a snapshot is the whole new row, so it becomes a
//! whole new item or user; a deleted row deletes. The tombstone behind a deletion says nothing new.

use crate::topics::InputKind;
use nowcast_schemas::fields::EntityChange;
use nowcast_schemas::{EntityFields, Fault, FaultCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Which columns of a row are which fields. Columns that are not named are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The id: a text or a whole number.
    pub id: String,
    /// An item's categories: columns with a text or a list of texts.
    #[serde(default)]
    pub categories: Vec<String>,
    /// An item's tags, likewise.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What separates several categories or tags in one text; nothing if empty.
    #[serde(default)]
    pub separator: String,
    /// Whether an item may be recommended: a truth value, or a number that is above 0.
    #[serde(default)]
    pub available: Option<String>,
    /// When an item appears.
    #[serde(default)]
    pub published_at: Option<String>,
    /// When an item goes.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// The unit of times that are numbers.
    #[serde(default)]
    pub time_unit: TimeUnit,
    /// A user's segment.
    #[serde(default)]
    pub segment: Option<String>,
    /// Attributes under the names of their columns.
    #[serde(default)]
    pub attributes: Vec<String>,
    /// Attributes under names of their own: column by attribute.
    #[serde(default)]
    pub renamed: BTreeMap<String, String>,
}

/// The unit of times that are numbers, since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Microseconds: what Debezium makes of PostgreSQL's `timestamp`.
    #[default]
    Micros,
    /// Milliseconds: with `time.precision.mode = connect`.
    Millis,
    /// Days: a `date`.
    Days,
}

impl TimeUnit {
    fn ms(self, number: i64) -> Option<i64> {
        match self {
            Self::Micros => Some(number.div_euclid(1_000)),
            Self::Millis => Some(number),
            Self::Days => number.checked_mul(86_400_000),
        }
    }
}

impl Columns {
    /// Refuses fields that the kind does not have.
    pub(crate) fn check(&self, kind: InputKind) -> Result<(), String> {
        let of_items = !self.categories.is_empty()
            || !self.tags.is_empty()
            || self.available.is_some()
            || self.published_at.is_some()
            || self.expires_at.is_some();
        if self.id.is_empty() {
            return Err("columns.id must name a column".to_owned());
        }
        match kind {
            InputKind::Items if self.segment.is_some() => Err("an item has no segment".to_owned()),
            InputKind::Users if of_items => {
                Err("a user has a segment and attributes, nothing else".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The change that an envelope describes; `None` for a tombstone, which says nothing new.
    ///
    /// # Errors
    /// What is wrong with envelope or row.
    pub fn change(
        &self,
        kind: InputKind,
        envelope: &Value,
    ) -> Result<Option<EntityFields<'static>>, Fault> {
        if envelope.is_null() {
            return Ok(None);
        }
        let change = match envelope.get("payload") {
            Some(Value::Null) => return Ok(None),
            Some(payload) if envelope.get("op").is_none() => payload,
            _ => envelope,
        };
        let row = |name: &str| match change.get(name) {
            Some(Value::Object(row)) => Ok(row),
            other => {
                let expected = "the row, as an object (REPLICA IDENTITY FULL for what it deletes)";
                Err(found(
                    Fault::new(FaultCode::WrongType, name, expected),
                    other,
                ))
            }
        };
        match change.get("op").and_then(Value::as_str) {
            Some("c" | "u" | "r") => {
                let row = row("after")?;
                let id = self.id(row)?;
                let fields = match kind {
                    InputKind::Users => self.user(row),
                    InputKind::Items | InputKind::Events => self.item(row)?,
                };
                let change = EntityChange::Put(Value::Object(fields));
                Ok(Some(EntityFields { id, change }))
            }
            Some("d") => {
                let id = self.id(row("before")?)?;
                let change = EntityChange::Delete;
                Ok(Some(EntityFields { id, change }))
            }
            _ => {
                let expected = "a change of a row: c, u, r or d in Debezium's envelope";
                let fault = Fault::new(FaultCode::WrongType, "op", expected);
                Err(found(fault, change.get("op")))
            }
        }
    }

    fn id(&self, row: &Map<String, Value>) -> Result<Cow<'static, str>, Fault> {
        match row.get(&self.id) {
            Some(Value::String(id)) => Ok(Cow::Owned(id.clone())),
            Some(Value::Number(id)) if id.is_i64() || id.is_u64() => Ok(Cow::Owned(id.to_string())),
            None => Err(Fault::new(FaultCode::Missing, "id", "the column of the id")),
            other => {
                let fault = Fault::new(FaultCode::WrongType, "id", "a text or a whole number");
                Err(found(fault, other))
            }
        }
    }

    fn item(&self, row: &Map<String, Value>) -> Result<Map<String, Value>, Fault> {
        let mut item = Map::new();
        for (field, columns) in [("categories", &self.categories), ("tags", &self.tags)] {
            let texts = self.texts(field, columns, row)?;
            if !texts.is_empty() {
                item.insert(field.to_owned(), json!(texts));
            }
        }
        if let Some(value) = cell(row, self.available.as_deref()) {
            let is_available = match value {
                Value::Bool(flag) => *flag,
                Value::Number(number) => number.as_f64().is_some_and(|number| number > 0.0),
                other => {
                    let expected = "true or false, or a number";
                    let fault = Fault::new(FaultCode::WrongType, "available", expected);
                    return Err(found(fault, Some(other)));
                }
            };
            item.insert("available".to_owned(), Value::Bool(is_available));
        }
        let times = [
            ("published_at", &self.published_at),
            ("expires_at", &self.expires_at),
        ];
        for (field, column) in times {
            if let Some(value) = cell(row, column.as_deref()) {
                item.insert(field.to_owned(), self.time(field, value)?);
            }
        }
        let attributes = self.attributes(row);
        if !attributes.is_empty() {
            item.insert("attributes".to_owned(), Value::Object(attributes));
        }
        Ok(item)
    }

    fn user(&self, row: &Map<String, Value>) -> Map<String, Value> {
        let mut user = Map::new();
        // A whole record: without a segment the user is in none.
        let segment = cell(row, self.segment.as_deref());
        user.insert("segment".to_owned(), segment.cloned().unwrap_or_default());
        let attributes = Value::Object(self.attributes(row));
        user.insert("attributes".to_owned(), attributes);
        user
    }

    fn attributes(&self, row: &Map<String, Value>) -> Map<String, Value> {
        let same = self.attributes.iter().map(|column| (column, column));
        let all = same.chain(&self.renamed);
        let filled = all.filter_map(|(name, column)| {
            let value = cell(row, Some(column))?;
            Some((name.clone(), value.clone()))
        });
        filled.collect()
    }

    fn texts(
        &self,
        field: &str,
        columns: &[String],
        row: &Map<String, Value>,
    ) -> Result<Vec<String>, Fault> {
        let mut texts = Vec::new();
        for value in columns.iter().filter_map(|column| cell(row, Some(column))) {
            let entries = match value {
                Value::Array(entries) => entries.as_slice(),
                single => std::slice::from_ref(single),
            };
            for entry in entries {
                let Value::String(text) = entry else {
                    let fault = Fault::new(FaultCode::WrongType, field, "a text, or texts");
                    return Err(found(fault, Some(entry)));
                };
                if self.separator.is_empty() {
                    texts.push(text.clone());
                } else {
                    let parts = text.split(&self.separator).map(str::trim);
                    texts.extend(parts.filter(|part| !part.is_empty()).map(str::to_owned));
                }
            }
        }
        Ok(texts)
    }

    fn time(&self, field: &str, value: &Value) -> Result<Value, Fault> {
        match value {
            Value::String(_) => Ok(value.clone()),
            Value::Number(number) => {
                let ms = number.as_i64().and_then(|number| self.time_unit.ms(number));
                let expected = "a whole number of the configured unit since 1970";
                let fault = || Fault::new(FaultCode::OutOfRange, field, expected);
                Ok(json!(ms.ok_or_else(|| found(fault(), Some(value)))?))
            }
            other => {
                let expected = "a number or RFC 3339 text";
                let fault = Fault::new(FaultCode::WrongType, field, expected);
                Err(found(fault, Some(other)))
            }
        }
    }
}

/// A column that is named, there and not null.
fn cell<'r>(row: &'r Map<String, Value>, column: Option<&str>) -> Option<&'r Value> {
    row.get(column?).filter(|value| !value.is_null())
}

fn found(fault: Fault, value: Option<&Value>) -> Fault {
    match value {
        Some(value) => fault.found(value),
        None => fault.found("nothing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Columns {
        serde_json::from_value(json!({
            "id": "sku", "categories": ["shelf"], "tags": ["labels"], "separator": ",",
            "available": "stock", "published_at": "since", "attributes": ["title", "price"],
            "renamed": {"maker": "brand_name"},
        }))
        .unwrap()
    }

    fn row() -> Value {
        json!({"sku": 17, "shelf": "tea", "labels": "green, loose,", "stock": 3,
               "since": 1_700_000_000_123_456_i64, "title": "Sencha", "price": 9.5,
               "brand_name": "Uji", "secret": "x", "note": null})
    }

    fn item(envelope: &Value) -> Result<Option<EntityFields<'static>>, Fault> {
        columns().change(InputKind::Items, envelope)
    }

    #[test]
    fn a_row_becomes_a_whole_item_with_and_without_the_schema_around_it() {
        let bare = json!({"before": null, "after": row(), "op": "c", "source": {}});
        let change = item(&bare).unwrap().unwrap();
        assert_eq!(change.id, "17");
        let expected = json!({
            "categories": ["tea"], "tags": ["green", "loose"], "available": true,
            "published_at": 1_700_000_000_123_i64,
            "attributes": {"title": "Sencha", "price": 9.5, "maker": "Uji"},
        });
        assert_eq!(change.change, EntityChange::Put(expected));
        let wrapped = json!({"schema": {}, "payload": bare});
        assert_eq!(item(&wrapped).unwrap().unwrap(), change);
    }

    #[test]
    fn a_deleted_row_deletes_and_its_tombstone_is_passed_over() {
        let deleted = item(&json!({"before": {"sku": "a"}, "after": null, "op": "d"}));
        let deleted = deleted.unwrap().unwrap();
        assert_eq!((&*deleted.id, deleted.change), ("a", EntityChange::Delete));
        assert_eq!(item(&Value::Null).unwrap(), None);
        assert_eq!(
            item(&json!({"schema": null, "payload": null})).unwrap(),
            None
        );
    }

    #[test]
    fn what_is_no_change_of_a_row_is_named() {
        for (envelope, field) in [
            (json!({"after": {}, "op": "c"}), "id"),
            (json!({"after": {"sku": 1.5}, "op": "u"}), "id"),
            (json!({"after": null, "op": "u"}), "after"),
            (json!({"before": null, "op": "d"}), "before"),
            (json!({"op": "t"}), "op"),
            (json!({"id": "a"}), "op"),
            (json!("text"), "op"),
            (
                json!({"after": {"sku": 1, "shelf": 7}, "op": "c"}),
                "categories",
            ),
            (
                json!({"after": {"sku": 1, "stock": "much"}, "op": "c"}),
                "available",
            ),
            (
                json!({"after": {"sku": 1, "since": 1.5}, "op": "c"}),
                "published_at",
            ),
        ] {
            assert_eq!(item(&envelope).unwrap_err().field, field, "{envelope}");
        }
    }

    #[test]
    fn a_users_row_is_a_whole_record() {
        let columns: Columns = serde_json::from_value(
            json!({"id": "mail", "segment": "plan", "attributes": ["country"]}),
        )
        .unwrap();
        let user = |after: Value| {
            let envelope = json!({"after": after, "op": "u"});
            columns
                .change(InputKind::Users, &envelope)
                .unwrap()
                .unwrap()
        };
        let full = user(json!({"mail": "ann", "plan": "pro", "country": "DE"}));
        let expected = json!({"segment": "pro", "attributes": {"country": "DE"}});
        assert_eq!(full.change, EntityChange::Put(expected));
        let without = user(json!({"mail": "ann", "plan": null}));
        let expected = json!({"segment": null, "attributes": {}});
        assert_eq!(without.change, EntityChange::Put(expected));
    }
}
