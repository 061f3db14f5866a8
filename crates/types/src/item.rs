//! A row of the catalogue, as clients send it and stores keep it.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An item: what can be recommended. All fields have defaults, so `{}` is a valid item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Item {
    /// Categories, the most important first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Free labels, for content similarity and filters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Everything else, by name; text here (such as `title`) feeds content similarity.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, AttributeValue>,
    /// Not recommended before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    /// Not recommended from this time on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Whether it may be recommended at all.
    pub available: bool,
}

impl Default for Item {
    fn default() -> Self {
        Self {
            categories: Vec::new(),
            tags: Vec::new(),
            attributes: BTreeMap::new(),
            published_at: None,
            expires_at: None,
            available: true,
        }
    }
}

impl Item {
    /// Whether the item may be recommended at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.available
            && self.published_at.is_none_or(|from| from <= now)
            && self.expires_at.is_none_or(|until| now < until)
    }
}

/// The value of an item's attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AttributeValue {
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// A list of numbers, such as an embedding that was made elsewhere.
    Numbers(Vec<f64>),
}
