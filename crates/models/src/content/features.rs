//! From an item's fields to hashed features with a term frequency.
//!
//! Words are runs of letters and digits, lower-cased. There is no stemming and no segmentation of
//! scripts without spaces: tags and categories carry those.

use nowcast_types::Item;
use nowcast_types::item::AttributeValue;
use nowcast_types::stable_hash::stable_hash;

/// Most features kept of an item, the strongest first; bounds memory and time per item.
pub(crate) const FEATURES_MAX: usize = 48;

/// Bytes of text looked at; what an item is about is said early.
const TEXT_BYTES_MAX: usize = 4096;

/// Share of a standardised number beside words, categories and tags, which have length 1 together;
/// so has a list of numbers.
const NUMBER_SHARE: f32 = 0.3;

/// A number of an item.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NumberFeature {
    pub(crate) hash: u64,
    pub(crate) value: f32,
    /// How much a standard deviation counts.
    pub(crate) share: f32,
}

/// What is known of an item besides who had to do with it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ItemContent {
    /// Categories, the most important first.
    pub categories: Vec<String>,
    /// Free labels.
    pub tags: Vec<String>,
    /// Running text, such as a title and a description.
    pub text: String,
    /// Numbers by name; part of [`super::ContentMap`] alone, because nearness in words has no use
    /// for them.
    pub numbers: Vec<(String, f64)>,
    /// Lists of numbers by name, such as embeddings made elsewhere; used as the numbers are.
    pub vectors: Vec<(String, Vec<f32>)>,
}

impl ItemContent {
    /// Takes categories, tags and every text attribute of a catalogue item. Lists of texts count
    /// as tags.
    #[must_use]
    pub fn from_item(item: &Item) -> Self {
        let mut content = Self {
            categories: item.categories.clone(),
            tags: item.tags.clone(),
            ..Self::default()
        };
        for (name, value) in &item.attributes {
            match value {
                AttributeValue::Text(text) => {
                    content.text.push_str(text);
                    content.text.push(' ');
                }
                AttributeValue::Texts(texts) => content.tags.extend(texts.iter().cloned()),
                AttributeValue::Number(number) => content.numbers.push((name.clone(), *number)),
                AttributeValue::Numbers(list) => {
                    let values = list.iter().map(|number| *number as f32);
                    content.vectors.push((name.clone(), values.collect()));
                }
                AttributeValue::Bool(truth) => {
                    content
                        .numbers
                        .push((name.clone(), f64::from(u8::from(*truth))));
                }
            }
        }
        content
    }

    /// Every number, those of a list each for itself.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = NumberFeature> {
        let single = self.numbers.iter().map(|(name, number)| NumberFeature {
            hash: feature_hash(4, name),
            value: *number as f32,
            share: NUMBER_SHARE,
        });
        let listed = self.vectors.iter().flat_map(|(name, list)| {
            let of_list = feature_hash(5, name);
            let share = 1.0 / (list.len() as f32).sqrt();
            (0_u64..).zip(list).map(move |(at, value)| NumberFeature {
                hash: stable_hash(&at.to_le_bytes(), of_list),
                value: *value,
                share,
            })
        });
        single.chain(listed)
    }

    /// Feature hashes with their term frequency, ascending by hash, at most [`FEATURES_MAX`].
    pub(crate) fn features(&self) -> Vec<(u64, f32)> {
        let mut found: Vec<(u64, f32)> = Vec::new();
        for category in &self.categories {
            found.push((feature_hash(1, category), 1.5));
        }
        for tag in &self.tags {
            found.push((feature_hash(2, tag), 1.5));
        }
        let mut end = self.text.len().min(TEXT_BYTES_MAX);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let words = self.text[..end].split(|c: char| !c.is_alphanumeric());
        found.extend(
            words
                .filter(|word| (2..=40).contains(&word.len()))
                .map(|word| (feature_hash(3, word), 1.0)),
        );
        found.sort_unstable_by_key(|(hash, _)| *hash);
        found.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                kept.1 += next.1;
            }
            is_same
        });
        for (_, frequency) in &mut found {
            *frequency = 1.0 + frequency.ln().max(-0.9);
        }
        if found.len() > FEATURES_MAX {
            found.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            found.truncate(FEATURES_MAX);
            found.sort_unstable_by_key(|(hash, _)| *hash);
        }
        found
    }
}

/// The field is the seed, so a tag and a word of the same spelling are different features.
fn feature_hash(field: u64, text: &str) -> u64 {
    stable_hash(text.trim().to_lowercase().as_bytes(), field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_without_case_and_fields_do_not_mix() {
        let content = ItemContent {
            categories: vec!["Drama".into()],
            tags: vec!["drama".into()],
            text: "Drama, drama! a".into(),
            ..ItemContent::default()
        };
        let features = content.features();
        assert_eq!(features.len(), 3, "one per field; `a` is too short");
        let word = features
            .iter()
            .find(|(hash, _)| *hash == feature_hash(3, "drama"));
        assert_eq!(word.map(|w| w.1), Some(1.0 + 2_f32.ln()));
    }

    #[test]
    fn long_text_is_bounded_at_a_character_boundary() {
        let content = ItemContent {
            text: "ä".repeat(5000) + &" wörter".repeat(100),
            ..ItemContent::default()
        };
        assert!(content.features().len() <= FEATURES_MAX);
    }
}
