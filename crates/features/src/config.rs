//! What the site may choose about the fold. The defaults are the text of `default.toml`.
//!
//! A change of what is counted (views, half-lives, lengths) makes old state meaningless, so it
//! changes the plan's fingerprint and old checkpoints are refused. A change of a bound (budget,
//! dedup memory, lateness) only concerns what comes, so checkpoints stay good.

use nowcast_types::{ByteSize, Span};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The compiled-in defaults, with a comment on every key.
pub const DEFAULT_TOML: &str = include_str!("default.toml");

/// How a partition is folded.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldConfig {
    /// Interactions kept per user.
    pub history_len: u16,
    /// Silence that ends a session.
    pub session_gap: Span,
    /// How far the watermark may run ahead of an event's arrival.
    pub clock_ahead: Span,
    /// How far behind the watermark an event may be and still count.
    pub lateness: Span,
    /// How long event ids are remembered, in event time.
    pub dedup_horizon: Span,
    /// Most event ids remembered.
    pub dedup_entries_max: u32,
    /// Budget of one partition's state.
    pub state_bytes_max: ByteSize,
    /// Category affinity of users.
    pub affinity: AffinityConfig,
    /// Decayed popularity of items.
    pub popularity: PopularityConfig,
    /// Item-to-item co-visitation.
    pub covisit: CovisitConfig,
    /// What becomes of shown items.
    pub attribution: AttributionConfig,
    /// Feature views, in the order in which they are reported.
    #[serde(default)]
    pub views: Vec<FeatureViewConfig>,
}

impl Default for FoldConfig {
    fn default() -> Self {
        toml::from_str(DEFAULT_TOML).expect("the compiled-in defaults parse")
    }
}

/// Category affinity of users.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AffinityConfig {
    /// Time in which a weight halves.
    pub half_life: Span,
    /// Most categories remembered per user.
    pub categories_max: u8,
}

/// Decayed popularity of items.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PopularityConfig {
    /// Half-life of the short memory.
    pub trending_half_life: Span,
    /// Half-life of the long memory.
    pub popular_half_life: Span,
    /// Most segments counted per item.
    pub segments_max: u8,
}

/// Item-to-item co-visitation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CovisitConfig {
    /// How many of the user's latest distinct items a new one is paired with; 0 turns it off.
    pub recent_items: u8,
    /// Most neighbours kept per item.
    pub neighbours_max: u16,
    /// Time in which a pair's weight halves.
    pub half_life: Span,
    /// Longest time between two items of a pair.
    pub gap_max: Span,
    /// Weight from the later item to the earlier one, against 1 for the other way.
    pub backward_weight: f32,
}

/// How shown items are matched with what came of them, to learn from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributionConfig {
    /// Whether examples are labelled.
    pub enabled: bool,
    /// How long after it was shown an outcome counts.
    pub window: Span,
    /// Most pending answers of one user; the oldest are let go first.
    pub answers_per_user_max: u16,
    /// Most bytes of pending answers per partition; the oldest are let go first.
    pub pending_bytes_max: ByteSize,
    /// What may come of an item, at most eight.
    pub objectives: Vec<ObjectiveConfig>,
}

/// One objective.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// Unique name.
    pub name: String,
    /// Names of the event types that make it come true.
    pub events: Vec<String>,
    /// Least `value` of such an event; without it, any will do.
    #[serde(default)]
    pub value_min: Option<f32>,
    /// What it is worth in the score; below 0 for what is to be avoided.
    pub weight: f32,
}

/// Whom a feature view describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// A user.
    User,
    /// An item.
    Item,
    /// A category of items.
    Category,
    /// A segment of users.
    Segment,
    /// An item within a segment of users.
    ItemSegment,
    /// Everything.
    Global,
}

/// What of an event is aggregated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operand {
    /// 1 per event.
    One,
    /// The event's `value`; events without one do not count.
    Value,
    /// The event's signed strength as implicit feedback.
    Strength,
    /// The item.
    Item,
    /// Each category of the item.
    Category,
    /// The user.
    User,
    /// The client's session.
    Session,
    /// The event type.
    EventType,
}

/// One feature view: whose, of which events, aggregated how, over which window.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureViewConfig {
    /// Unique name.
    pub name: String,
    /// Whom it describes.
    pub entity: EntityKind,
    /// Names of the event types that count.
    pub events: Vec<String>,
    /// For `rate`: names of the event types of the denominator.
    #[serde(default)]
    pub per: Vec<String>,
    /// Field equals value, all of them: `device`, `slot`, `location`, `category`, `hour`, `weekday`.
    #[serde(default)]
    pub filter: BTreeMap<String, String>,
    /// Name of an aggregation; see [`crate::aggregations::registry`].
    pub aggregation: String,
    /// What is aggregated; each aggregation has its own default.
    #[serde(default)]
    pub of: Option<Operand>,
    /// How far back it looks, 1 minute to 30 days.
    pub window: Span,
    /// Parts the window advances in (1 to 60): the look-back is between `window - window / slots`
    /// and `window`.
    #[serde(default = "default_slots")]
    pub slots: u16,
    /// For `last_k` and `top_k`: how many, at most 32.
    #[serde(default)]
    pub k: Option<u16>,
    /// For `rate`: the rate expected before any evidence.
    #[serde(default)]
    pub prior_mean: Option<f64>,
    /// For `rate`: how many denominator events that expectation is worth.
    #[serde(default)]
    pub prior_strength: Option<f64>,
    /// For `decayed_sum`: time in which a contribution halves; default a quarter of the window.
    #[serde(default)]
    pub half_life: Option<Span>,
}

const fn default_slots() -> u16 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_has_ten_views_with_distinct_names() {
        let config = FoldConfig::default();
        let mut names: Vec<_> = config.views.iter().map(|view| &view.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 10);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let text = format!("historylen = 3\n{DEFAULT_TOML}");
        assert!(toml::from_str::<FoldConfig>(&text).is_err());
    }
}
