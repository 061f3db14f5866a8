//! One result of an evaluation, as it is printed: one JSON object a line.

use nowcast_models::ResolvedParams;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// How one model did on one data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationRow {
    /// The model's name.
    pub model: String,
    /// Every parameter used, defaults included.
    pub params: BTreeMap<String, Value>,
    /// The seed of the training.
    pub seed: u64,
    /// How often what is known advanced; prequential evaluation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
    /// Mean by metric, such as `recall@20`.
    pub metrics: BTreeMap<String, f64>,
    /// Share of the catalogue that was recommended to anyone, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<f64>,
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
