//! What a site can decide about its answers: which components a slot uses, with which weights.
//!
//! Names are checked against the registries when the [`crate::Recommender`] is built, so that a
//! misspelt component is an error at start and not a silent zero.

use serde::Deserialize;
use std::collections::BTreeMap;

/// The `[recommend]` section.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecommendConfig {
    /// Most entries of `exclude`, of a history brought by the caller and of `candidates`, each.
    pub list_len_max: usize,
    /// Longest filter expression, in bytes.
    pub filter_bytes_max: usize,
    /// Compiled filter expressions kept, least recently compiled out first.
    pub filter_cache_entries: usize,
    /// Items that the static rung offers first, in this order; then comes the catalogue's order.
    pub static_items: Vec<String>,
    /// The slots by name. A request without a slot uses `default`.
    pub slots: BTreeMap<String, SlotConfig>,
}

/// One place of the surface where answers are shown.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlotConfig {
    /// Most items that one request may ask for.
    pub k_max: usize,
    /// Most recent interactions of the subject that sources and scorers look at.
    pub history_max: usize,
    /// What becomes of items the subject has interacted with.
    pub seen: SeenPolicy,
    /// Most candidates per source; a source that is absent or 0 is off.
    pub sources: BTreeMap<String, usize>,
    /// Weight of each scorer in the blend; a scorer that is absent or 0 is off.
    pub scorers: BTreeMap<String, f32>,
    /// Weight of each scorer when the caller brings candidates.
    pub rerank: BTreeMap<String, f32>,
    /// How alike the items of one answer may be.
    pub diversity: DiversityConfig,
    /// Probability, per position, that the item is drawn at random from the best `4 * k` candidates
    /// left instead of being the best one.
    pub exploration_share: f32,
}

/// What becomes of items the subject has interacted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeenPolicy {
    /// They are not recommended again.
    Remove,
    /// They may be recommended again, unless disliked.
    Keep,
}

/// How alike the items of one answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiversityConfig {
    /// Weight of being unlike the items above, 0 (off) to 1 (nothing else counts): the `1 - lambda`
    /// of maximal marginal relevance (Carbonell and Goldstein 1998).
    pub mmr: f32,
    /// Most items of one leading category in an answer as long as others are left; 0 is off.
    pub category_max: usize,
}

fn named<T: Copy>(entries: &[(&str, T)]) -> BTreeMap<String, T> {
    let owned = entries
        .iter()
        .map(|(name, value)| ((*name).to_owned(), *value));
    owned.collect()
}

impl Default for SlotConfig {
    fn default() -> Self {
        Self {
            k_max: 500,
            history_max: 200,
            seen: SeenPolicy::Remove,
            sources: named(&[
                ("ials", 200),
                ("covisit", 200),
                ("content", 100),
                ("newcomers", 50),
                ("trending_category", 50),
                ("trending_segment", 50),
                ("trending_global", 100),
                ("static", 500),
            ]),
            scorers: named(&[
                ("ials", 1.0),
                ("covisit", 1.0),
                ("content", 0.3),
                ("category_affinity", 0.1),
                ("segment_popularity", 0.1),
                ("trending", 0.1),
                ("popularity", 0.1),
                ("ctr", 0.1),
                ("recency", 0.05),
            ]),
            rerank: named(&[
                ("touch", 2.0),
                ("position", 1.0),
                ("covisit", 0.2),
                ("content", 0.05),
                ("ials", 0.05),
                ("ctr", 0.1),
            ]),
            diversity: DiversityConfig::default(),
            exploration_share: 0.0,
        }
    }
}

impl Default for RecommendConfig {
    fn default() -> Self {
        Self {
            list_len_max: 1_000,
            filter_bytes_max: 1_024,
            filter_cache_entries: 1_024,
            static_items: Vec::new(),
            slots: BTreeMap::from([("default".to_owned(), SlotConfig::default())]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        recommend: RecommendConfig,
    }

    #[test]
    fn the_commented_file_says_what_the_code_does() {
        let text = include_str!("../../../config/default.toml");
        let file: File = toml::from_str(text).unwrap();
        assert_eq!(file.recommend, RecommendConfig::default());
    }

    #[test]
    fn a_slot_may_leave_out_keys_but_not_invent_them() {
        let slot: SlotConfig = toml::from_str("k_max = 7").unwrap();
        assert_eq!((slot.k_max, slot.seen), (7, SeenPolicy::Remove));
        assert!(toml::from_str::<SlotConfig>("kmax = 7").is_err());
    }
}
