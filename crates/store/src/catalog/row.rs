//! One item's row: what [`nowcast_types::Item`] says, with repeated names as numbers.
//!
//! A row is immutable and shared; a change makes a new one.

use super::labels::{LabelIdx, Labels};
use nowcast_types::{AttributeValue, Item, Timestamp};

/// A row of the catalogue. Names are numbers of the [`super::Catalog`] that made it.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemRow {
    /// Categories, the most important first.
    pub categories: Box<[LabelIdx]>,
    /// Free labels.
    pub tags: Box<[LabelIdx]>,
    /// Everything else, in the order of the names' text.
    pub attributes: Box<[(LabelIdx, AttributeValue)]>,
    /// Not recommended before this time.
    pub published_at: Option<Timestamp>,
    /// Not recommended from this time on.
    pub expires_at: Option<Timestamp>,
    /// Whether it may be recommended at all.
    pub available: bool,
}

/// The three name tables of a catalogue.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) categories: Labels,
    pub(crate) tags: Labels,
    pub(crate) attributes: Labels,
}

impl ItemRow {
    /// The value of one attribute.
    #[must_use]
    pub fn attribute(&self, name: LabelIdx) -> Option<&AttributeValue> {
        self.attributes
            .iter()
            .find(|(label, _)| *label == name)
            .map(|(_, value)| value)
    }

    /// Whether the item may be recommended at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.available
            && self.published_at.is_none_or(|from| from <= now)
            && self.expires_at.is_none_or(|until| now < until)
    }

    pub(crate) fn from_item(item: Item, names: &mut Names) -> Self {
        let labels = |table: &mut Labels, texts: &[String]| -> Box<[LabelIdx]> {
            texts.iter().map(|t| LabelIdx(table.intern(t))).collect()
        };
        Self {
            categories: labels(&mut names.categories, &item.categories),
            tags: labels(&mut names.tags, &item.tags),
            attributes: item
                .attributes
                .into_iter()
                .map(|(name, value)| (LabelIdx(names.attributes.intern(&name)), trimmed(value)))
                .collect(),
            published_at: item.published_at,
            expires_at: item.expires_at,
            available: item.available,
        }
    }

    pub(crate) fn to_item(&self, names: &Names) -> Item {
        let texts = |table: &Labels, labels: &[LabelIdx]| -> Vec<String> {
            let name = |label: &LabelIdx| table.name(label.0).map(ToString::to_string);
            labels.iter().filter_map(name).collect()
        };
        Item {
            categories: texts(&names.categories, &self.categories),
            tags: texts(&names.tags, &self.tags),
            attributes: self
                .attributes
                .iter()
                .filter_map(|(label, value)| {
                    let name = names.attributes.name(label.0)?;
                    Some((name.to_string(), value.clone()))
                })
                .collect(),
            published_at: self.published_at,
            expires_at: self.expires_at,
            available: self.available,
        }
    }

    /// Bytes on the heap, with the reference count and without the allocator's own overhead.
    pub(crate) fn bytes(&self) -> usize {
        const ARC_HEADER: usize = 16;
        let values: usize = self.attributes.iter().map(|(_, v)| value_bytes(v)).sum();
        ARC_HEADER
            + size_of::<Self>()
            + size_of_val(&*self.categories)
            + size_of_val(&*self.tags)
            + size_of_val(&*self.attributes)
            + values
    }
}

fn trimmed(mut value: AttributeValue) -> AttributeValue {
    match &mut value {
        AttributeValue::Text(text) => text.shrink_to_fit(),
        AttributeValue::Texts(texts) => {
            texts.iter_mut().for_each(String::shrink_to_fit);
            texts.shrink_to_fit();
        }
        AttributeValue::Numbers(numbers) => numbers.shrink_to_fit(),
        AttributeValue::Bool(_) | AttributeValue::Number(_) => {}
    }
    value
}

fn value_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::Bool(_) | AttributeValue::Number(_) => 0,
        AttributeValue::Text(text) => text.capacity(),
        AttributeValue::Texts(texts) => {
            let strings: usize = texts.iter().map(String::capacity).sum();
            strings + texts.capacity() * size_of::<String>()
        }
        AttributeValue::Numbers(numbers) => numbers.capacity() * size_of::<f64>(),
    }
}
