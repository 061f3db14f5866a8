//! The engine's own settings, and the sections of the crates below it in one value.

use crate::learning::OnlineRankingConfig;
use nowcast_features::FoldConfig;
use nowcast_log::LogConfig;
use nowcast_recommend::RecommendConfig;
use nowcast_store::CheckpointConfig;
use nowcast_stream::StreamConfig;
use nowcast_training::TrainingConfig;
use nowcast_types::{ByteSize, EventTypeDef, Limits, Span};
use serde::Deserialize;

/// Everything an engine is configured by. Each field is a section of the configuration file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineConfig {
    /// `[limits]`: what clients may send.
    pub limits: Limits,
    /// `[events]`: partitions and event types.
    pub events: EventsConfig,
    /// `[log]`: segments and commits.
    pub log: LogConfig,
    /// `[fold]`: what is remembered and computed of events.
    pub fold: FoldConfig,
    /// `[checkpoints]`: when they are compacted.
    pub checkpoints: CheckpointConfig,
    /// `[stream]`: micro-batches and when checkpoints are made.
    pub stream: StreamConfig,
    /// `[recommend]`: slots.
    pub recommend: RecommendConfig,
    /// `[training]`: which models are trained in the background, on how much, how often.
    pub training: TrainingConfig,
    /// `[online]`: how the online ranker learns from what was shown.
    pub online: OnlineRankingConfig,
    /// `[serving]`: what runs beside requests.
    pub serving: ServingConfig,
}

/// The `[events]` section.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsConfig {
    /// Partitions of the event log. A data folder keeps the number it was made with.
    pub partitions: u16,
    /// Event types of the site's own, with codes from 64 on.
    pub types: Vec<EventTypeDef>,
}

/// The `[serving]` section.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServingConfig {
    /// How often the trending tables are rebuilt from the live counters.
    pub trending_refresh: Span,
    /// Whether the items of an answer are recorded as impressions.
    pub record_impressions: bool,
    /// Answers whose impressions may wait to be recorded; further ones are dropped and counted.
    pub impressions_queue_max: usize,
    /// How long `?wait=applied` and catalogue changes wait for the fold.
    pub wait_applied_max: Span,
    /// Time a request may take when it names none; sources that are late stay empty.
    pub deadline: Span,
    /// The feature view of items that is their click-through rate; empty for none.
    pub ctr_view: String,
    /// Versions kept of each model, besides those in use.
    pub model_versions_kept: usize,
    /// How often models that other processes published are looked for.
    pub models_refresh: Span,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            limits: default_limits(),
            events: EventsConfig::default(),
            log: LogConfig::default(),
            fold: FoldConfig::default(),
            checkpoints: CheckpointConfig::default(),
            stream: StreamConfig::default(),
            recommend: RecommendConfig::default(),
            training: TrainingConfig::default(),
            online: OnlineRankingConfig::default(),
            serving: ServingConfig::default(),
        }
    }
}

fn default_limits() -> Limits {
    Limits {
        id_bytes_max: 256,
        body_bytes_max: ByteSize(8 << 20),
        batch_events_max: 10_000,
        nesting_max: 8,
        properties_bytes_max: ByteSize(8 << 10),
        categories_max: 4,
        clock_ahead_max: Span(5 * 60_000),
        event_age_max: Span(30 * 86_400_000),
    }
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            partitions: 4,
            types: Vec::new(),
        }
    }
}

impl Default for ServingConfig {
    fn default() -> Self {
        Self {
            trending_refresh: Span(1_000),
            record_impressions: true,
            impressions_queue_max: 4_096,
            wait_applied_max: Span(2_000),
            deadline: Span(100),
            ctr_view: "item_ctr_1h".to_owned(),
            model_versions_kept: 5,
            models_refresh: Span(2_000),
        }
    }
}

impl EngineConfig {
    /// Checks what no section can check alone.
    ///
    /// # Errors
    /// A sentence that names the keys.
    pub fn validate(&self) -> Result<(), String> {
        if !(1..=256).contains(&self.events.partitions) {
            return Err("events.partitions must be from 1 to 256".to_owned());
        }
        let limits = &self.limits;
        for (key, value) in [
            ("id_bytes_max", limits.id_bytes_max),
            ("batch_events_max", limits.batch_events_max),
            ("nesting_max", limits.nesting_max),
            ("categories_max", limits.categories_max),
        ] {
            if value == 0 {
                return Err(format!("limits.{key} must be at least 1"));
            }
        }
        // The log refuses larger batches, and an event's own share of one is small.
        if limits.properties_bytes_max.bytes() > 1 << 20 {
            return Err("limits.properties_bytes_max must be at most 1MiB".to_owned());
        }
        if limits.id_bytes_max > 4096 {
            return Err("limits.id_bytes_max must be at most 4096".to_owned());
        }
        for (key, span) in [
            ("trending_refresh", self.serving.trending_refresh),
            ("models_refresh", self.serving.models_refresh),
        ] {
            if span.ms() <= 0 {
                return Err(format!("serving.{key} must be longer than 0ms"));
            }
        }
        self.online.check()?;
        self.training.check().map_err(|error| error.to_string())
    }
}
