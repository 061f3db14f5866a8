//! One result of an evaluation, as it is printed: one JSON object a line.

use nowcast_models::ResolvedParams;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// How one model did on one data set.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EvaluationRow {
    /// The model's name.
    pub model: String,
    /// Every parameter used, defaults included.
    pub params: BTreeMap<String, Value>,
    /// The seed of the training; the first one where there are several.
    pub seed: u64,
    /// Every seed, where there are several; then the metrics are means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<Vec<u64>>,
    /// How often what is known advanced; prequential evaluation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
    /// Mean by metric, such as `recall@20`.
    pub metrics: BTreeMap<String, f64>,
    /// The same where new items are ranked among all that the user does not know; cold items only,
    /// whose `metrics` rank the new items alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub among_all: Option<BTreeMap<String, f64>>,
    /// How many items were new; cold items only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cold_items: Option<u64>,
    /// Standard deviation over the seeds, by metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<BTreeMap<String, f64>>,
    /// The metrics under other orders of equal scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ties: Option<Ties>,
    /// Whether the items of a user's history were left out of their list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask_seen: Option<bool>,
    /// Share of the catalogue that was recommended to anyone, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<f64>,
    /// How unevenly the items were recommended, 0 to 1 (Gini), over the whole catalogue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gini: Option<f64>,
    /// Mean surprise of the recommended items in bits: -log2 of the share of train rows with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub novelty: Option<f64>,
    /// Mean over the lists of `1 - cosine` of their pairs of items, by their train users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diversity: Option<f64>,
    /// Milliseconds to compute a list, half of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_ms_p50: Option<f64>,
    /// Milliseconds to compute a list, 99 of 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_ms_p99: Option<f64>,
    /// Events that were guessed; prequential evaluation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_scored: Option<u64>,
    /// Wall-clock seconds of training.
    pub train_seconds: f64,
    /// Processor seconds of training, all threads.
    pub cpu_seconds: f64,
    /// Wall-clock seconds of computing and measuring all lists.
    pub evaluate_seconds: f64,
    /// Users that were scored.
    pub users: u64,
    /// Items in the catalogue.
    pub items: u64,
    /// Interactions trained on.
    pub interactions: u64,
    /// Most memory the process ever held, in MiB.
    pub peak_rss_mb: f64,
}

/// Metrics where equal scores are ordered otherwise than served.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Ties {
    /// The order of [`EvaluationRow::metrics`].
    pub order: String,
    /// What is to be guessed stands behind all items of its score.
    pub pessimistic: BTreeMap<String, f64>,
    /// What is to be guessed stands before all items of its score.
    pub optimistic: BTreeMap<String, f64>,
}

/// Parameters as JSON: numbers where they are numbers.
#[must_use]
pub fn params_json(params: &ResolvedParams) -> BTreeMap<String, Value> {
    let value = |text: &str| {
        serde_json::from_str::<Value>(text)
            .ok()
            .filter(Value::is_number)
            .unwrap_or_else(|| Value::String(text.to_owned()))
    };
    params
        .iter()
        .map(|(name, text)| (name.to_owned(), value(text)))
        .collect()
}
