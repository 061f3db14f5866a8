//! The body of a request for recommendations, read field by field so that each error names its
//! field.

use crate::error::ApiError;
use nowcast_engine::Engine;
use nowcast_engine::ingest::rules::check_id;
use nowcast_types::{Refusal, RefusalCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What is asked for. All fields are optional.
#[derive(Debug, Default, ToSchema)]
pub struct RecommendationIn {
    /// The raw user id.
    pub user_id: Option<String>,
    /// The raw session id; names the visitor when there is no user id.
    pub session_id: Option<String>,
    /// What somebody did, oldest first, instead of an id: item ids, or objects.
    #[schema(value_type = Option<Vec<HistoryIn>>)]
    pub history: Option<Vec<HistoryIn>>,
    /// The configured slot, `default` if absent.
    pub slot: Option<String>,
    /// How many items, 10 if absent.
    pub k: Option<usize>,
    /// Whatever is known about the moment; `context.*` in the filter.
    #[schema(value_type = Option<Object>)]
    pub context: Option<Map<String, Value>>,
    /// Items that must not be in the answer.
    pub exclude: Vec<String>,
    /// CEL expression over `item.*` and `context.*`; other items are left out.
    pub filter: Option<String>,
    /// Whether the answer explains itself.
    pub explain: bool,
    /// A list to re-rank, in the order in which it would be shown.
    pub candidates: Option<Vec<String>>,
    /// Time the answer may take, in milliseconds.
    pub deadline_ms: Option<u64>,
    /// Whether the items are recorded as impressions; true if absent.
    pub impressions: Option<bool>,
}

/// One interaction of a history that the caller brings.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryIn {
    /// The item.
    pub item_id: String,
    /// Strength as implicit feedback, 1 if absent; negative for a dislike.
    #[serde(default)]
    pub strength: Option<f32>,
    /// When, in milliseconds since 1970; now if absent.
    #[serde(default)]
    pub timestamp: Option<i64>,
}

/// A history entry as it may be written: an id alone, or an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum HistoryEntry {
    Id(String),
    Full(HistoryIn),
}

impl RecommendationIn {
    /// Reads a body.
    ///
    /// # Errors
    /// 400 for the first field that breaks a rule.
    pub fn from_json(body: Value, engine: &Engine) -> Result<Self, ApiError> {
        let Value::Object(mut fields) = body else {
            return refuse(RefusalCode::WrongType, "", "a JSON object");
        };
        let history: Option<Vec<HistoryEntry>> =
            take(&mut fields, "history", "a list of item ids or objects")?;
        let request = Self {
            user_id: take(&mut fields, "user_id", "a text")?,
            session_id: take(&mut fields, "session_id", "a text")?,
            history: history.map(|entries| entries.into_iter().map(HistoryIn::from).collect()),
            slot: take(&mut fields, "slot", "a text")?,
            k: take(&mut fields, "k", "a whole number from 1")?,
            context: take(&mut fields, "context", "a JSON object")?,
            exclude: take(&mut fields, "exclude", "a list of item ids")?.unwrap_or_default(),
            filter: take(&mut fields, "filter", "a CEL expression as text")?,
            explain: take(&mut fields, "explain", "true or false")?.unwrap_or_default(),
            candidates: take(&mut fields, "candidates", "a list of item ids")?,
            deadline_ms: take(&mut fields, "deadline_ms", "whole milliseconds")?,
            impressions: take(&mut fields, "impressions", "true or false")?,
        };
        if let Some((name, _)) = fields.into_iter().next() {
            let name: String = name.chars().take(64).collect();
            let expected = "one of user_id, session_id, history, slot, k, context, exclude, \
                            filter, explain, candidates, deadline_ms, impressions";
            return refuse(RefusalCode::UnknownField, &name, expected);
        }
        request.check(engine)?;
        Ok(request)
    }

    fn check(&self, engine: &Engine) -> Result<(), ApiError> {
        let bytes_max = engine.limits().id_bytes_max;
        for (field, id) in [
            ("user_id", &self.user_id),
            ("session_id", &self.session_id),
            ("slot", &self.slot),
        ] {
            if let Some(id) = id {
                check_id(field, id, bytes_max).map_err(|refusal| ApiError::refusal(&refusal))?;
            }
        }
        let strengths = self.history.iter().flatten().filter_map(|h| h.strength);
        if strengths.into_iter().any(|strength| !strength.is_finite()) {
            return refuse(RefusalCode::OutOfRange, "history", "finite strengths");
        }
        Ok(())
    }
}

impl From<HistoryEntry> for HistoryIn {
    fn from(entry: HistoryEntry) -> Self {
        match entry {
            HistoryEntry::Full(entry) => entry,
            HistoryEntry::Id(item_id) => Self {
                item_id,
                strength: None,
                timestamp: None,
            },
        }
    }
}

fn refuse<T>(code: RefusalCode, field: &str, expected: &str) -> Result<T, ApiError> {
    Err(ApiError::refusal(&Refusal::new(code, field, expected)))
}

fn take<T: DeserializeOwned>(
    fields: &mut Map<String, Value>,
    name: &str,
    expected: &str,
) -> Result<Option<T>, ApiError> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match serde_json::from_value(value) {
            Ok(value) => Ok(Some(value)),
            Err(_) => refuse(RefusalCode::WrongType, name, expected),
        },
    }
}
