//! A folder with a configuration that makes a small load visit every corner: tiny segments, tiny
//! groups, frequent checkpoints and compactions.

use super::oracle;
use super::process::{self, Install};
use anyhow::{Result, anyhow};
use nowcast_features::{FoldConfig, FoldPlan};
use nowcast_types::{EventTypeDef, EventTypes};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// What the drill changes of the defaults. Keys are those of `config/default.toml`.
const SETTINGS: &str = r#"
[log]
segment_bytes = "256KiB"
group_bytes_max = "64KiB"
tail_cache_bytes = "64KiB"

[stream]
checkpoint_interval = "150ms"
compaction_age_max = "2s"

[checkpoints]
deltas_max = 4

[events]
types = [{ code = 64, name = "nod", weight = 0.0, needs_item = true }]

[recommend.slots.default.scorers]
online = 0.5

[serving]
record_impressions = false

[online]
bits = 12
factors = 2
publish_interval = "100ms"
checkpoint_interval = "200ms"

[fold.attribution]
enabled = true
window = "2s"
answers_per_user_max = 1000
pending_bytes_max = "64MiB"
"#;

/// Objectives of the drill, and the event types that make each come true.
pub(super) const OBJECTIVES: &[(&str, &[&str])] =
    &[("approve", &["nod", "like"]), ("click", &["click"])];

/// What every drill changes of the fold.
const FOLD_SETTINGS: &str = r#"
[fold]
lateness = "1d"
dedup_horizon = "10d"

"#;

/// Folders of the data folder, as the engine lays them out.
pub(super) const LOG_FOLDER: &str = "log";
pub(super) const CHECKPOINT_FOLDER: &str = "checkpoints";
/// Event partitions of the drill.
pub(super) const PARTITIONS: u16 = 4;

/// A place to run the product, gone when dropped.
pub(super) struct Site {
    pub(super) install: Install,
    _folder: TempDir,
}

impl Site {
    /// An empty data folder and a configuration beside it.
    pub(super) fn new(binary: Option<&Path>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let install = Install {
            binary: process::binary(binary)?,
            data: folder.path().join("data"),
            config: folder.path().join("chaos.toml"),
            log: folder.path().join("server.log"),
            command: vec!["up".to_owned()],
        };
        std::fs::write(&install.config, settings())?;
        Ok(Self {
            install,
            _folder: folder,
        })
    }
}

/// The drill's configuration file.
pub(super) fn settings() -> String {
    let objectives = OBJECTIVES.iter().map(|(name, events)| {
        format!(
            "\n[[fold.attribution.objectives]]\nname = {name:?}\nevents = {events:?}\nweight = 1.0\n"
        )
    });
    let objectives: String = objectives.collect();
    format!("{SETTINGS}{objectives}{}", fold_settings())
}

/// The event types of the drill: the built-in ones, and one that says nothing about taste.
pub(super) fn event_types() -> Result<EventTypes> {
    let settings: toml::Table = toml::from_str(&settings())?;
    let events = settings
        .get("events")
        .and_then(|events| events.get("types"));
    let custom: Vec<EventTypeDef> = match events {
        Some(types) => types.clone().try_into()?,
        None => Vec::new(),
    };
    EventTypes::with_custom(&custom).map_err(|problem| anyhow!(problem))
}

/// The part of the configuration that says how events are folded.
pub(super) fn fold_settings() -> String {
    format!("{FOLD_SETTINGS}{}", oracle::views_toml())
}

/// The fold that the settings of a cluster ask for: it labels nothing.
pub(super) fn cluster_plan() -> Result<Arc<FoldPlan>> {
    let mut config = fold_config()?;
    config.attribution.enabled = false;
    FoldPlan::compile(&config, Arc::new(EventTypes::default())).map_err(|error| anyhow!(error))
}

/// The fold that these settings ask for.
pub(super) fn fold_config() -> Result<FoldConfig> {
    let settings: toml::Table = toml::from_str(&settings())?;
    let mut merged: toml::Table = toml::from_str(nowcast_features::config::DEFAULT_TOML)?;
    let fold = settings.get("fold").and_then(|fold| fold.as_table());
    for (key, value) in fold.into_iter().flatten() {
        merged.insert(key.clone(), value.clone());
    }
    Ok(merged.try_into()?)
}

/// [`fold_config`], compiled.
pub(super) fn plan() -> Result<Arc<FoldPlan>> {
    FoldPlan::compile(&fold_config()?, Arc::new(event_types()?)).map_err(|error| anyhow!(error))
}
