//! Configuration: compiled-in defaults <- file <- environment <- flags.
//!
//! Every crate owns its section's struct; this module only layers texts and reports what does not
//! fit, with file and line.

pub mod artifacts;
pub mod backends;
pub mod layers;
pub mod resolve;

pub use layers::{Leaf, Problem};

use crate::cli::Shared;
use crate::commands::Failure;
use nowcast_engine::EngineConfig;
use nowcast_intake::{IntakeConfig, RegistryConfig};
use nowcast_server::ServerConfig;
use nowcast_sessions::SessionConfig;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The compiled-in defaults: every key, with a comment.
pub const DEFAULT_TOML: &str = include_str!("../../../../config/default.toml");

/// The file that is read when no other is named.
const FILE_NAME: &str = "nowcast.toml";

/// Everything that can be configured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder of all data.
    pub data_dir: PathBuf,
    /// Folder of the key, and of models that are embedded, if other processes share them.
    pub shared_dir: Option<PathBuf>,
    /// `[server]`.
    pub server: ServerConfig,
    /// Where log, state and models live: `log.url`, `[log.kafka]`, `[store]`, `[artifacts]`.
    pub backends: backends::BackendSettings,
    /// `[registry]`.
    pub registry: RegistryConfig,
    /// `[intake]`.
    pub intake: IntakeConfig,
    /// `[session]`.
    pub session: SessionConfig,
    /// Every other section.
    pub engine: EngineConfig,
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut sections = Table::deserialize(deserializer)?;
        let mut take = |name: &'static str| {
            sections
                .remove(name)
                .ok_or_else(|| D::Error::missing_field(name))
        };
        let (data_dir, server) = (take("data_dir")?, take("server")?);
        let shared_dir = take("shared_dir")?;
        let (registry, intake) = (take("registry")?, take("intake")?);
        let session = take("session")?;
        let said = |error: toml::de::Error| D::Error::custom(error.message());
        let backends = backends::BackendSettings::take_from(&mut sections).map_err(said)?;
        Ok(Self {
            data_dir: data_dir.try_into().map_err(said)?,
            shared_dir: Some(shared_dir.try_into().map_err(said)?)
                .filter(|folder: &PathBuf| !folder.as_os_str().is_empty()),
            server: server.try_into().map_err(said)?,
            backends,
            registry: registry.try_into().map_err(said)?,
            intake: intake.try_into().map_err(said)?,
            session: session.try_into().map_err(said)?,
            engine: Value::Table(sections).try_into().map_err(said)?,
        })
    }
}

/// Settings, with the merged tree they were read from.
#[derive(Debug)]
pub struct Loaded {
    /// The typed settings.
    pub settings: Settings,
    /// The same as text would have it.
    pub tree: Table,
}

/// Reads all layers for a command.
///
/// # Errors
/// A [`Failure::Configuration`] with everything that is wrong.
pub fn load(shared: &Shared) -> anyhow::Result<Loaded> {
    load_with(shared, Vec::new())
}

/// Reads all layers, with `flags` of the command above them.
///
/// # Errors
/// A [`Failure::Configuration`] with everything that is wrong.
pub fn load_with(shared: &Shared, flags: Vec<Leaf>) -> anyhow::Result<Loaded> {
    collect(shared, flags)
        .and_then(|leaves| read(&leaves))
        .map_err(|problems| Failure::Configuration(problems).into())
}

fn read(leaves: &[Leaf]) -> Result<Loaded, Vec<Problem>> {
    let (settings, tree) = resolve::resolve::<Settings>(&defaults(), leaves)?;
    let problems = rules_broken(&settings, leaves);
    if problems.is_empty() {
        Ok(Loaded { settings, tree })
    } else {
        Err(problems)
    }
}

/// The compiled-in defaults as a tree.
#[must_use]
pub fn defaults() -> Table {
    toml::from_str(DEFAULT_TOML).expect("config/default.toml is tested to parse")
}

fn collect(shared: &Shared, flags: Vec<Leaf>) -> Result<Vec<Leaf>, Vec<Problem>> {
    let mut leaves = match &shared.config {
        Some(path) => read_file(path)?,
        None if Path::new(FILE_NAME).exists() => read_file(Path::new(FILE_NAME))?,
        None => Vec::new(),
    };
    leaves.extend(layers::from_environment(std::env::vars()));
    let mut problems = Vec::new();
    for text in &shared.set {
        match layers::from_assignment(text) {
            Ok(leaf) => leaves.push(leaf),
            Err(problem) => problems.push(problem),
        }
    }
    if let Some(data) = &shared.data {
        let value = Value::String(data.display().to_string());
        leaves.push(layers::from_flag("--data", "data_dir", value));
    }
    leaves.extend(flags);
    if problems.is_empty() {
        Ok(leaves)
    } else {
        Err(problems)
    }
}

fn read_file(path: &Path) -> Result<Vec<Leaf>, Vec<Problem>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        vec![Problem {
            place: None,
            key: String::new(),
            message: format!("cannot read {}: {error}", path.display()),
        }]
    })?;
    layers::from_text(&text, path)
}

/// What no single key can know: rules over sections. The sentence names its key, which leads to
/// the line.
fn rules_broken(settings: &Settings, leaves: &[Leaf]) -> Vec<Problem> {
    let (backends, memcached) = (&settings.backends, &settings.session.memcached);
    let partitions = settings.engine.events.partitions;
    let rules = [
        settings.server.validate(),
        settings.registry.validate(),
        settings.intake.validate(),
        settings.engine.validate(),
        backends.log(partitions).map(drop),
        backends.store().map(drop),
        backends.models().map(drop),
        memcached
            .check()
            .map_err(|what| format!("session.memcached.{what}")),
    ];
    rules
        .into_iter()
        .filter_map(Result::err)
        .map(|message| {
            let named = leaves
                .iter()
                .filter(|leaf| message.contains(&leaf.path.join(".")))
                .max_by_key(|leaf| leaf.path.len());
            Problem {
                place: named.map(|leaf| leaf.place.clone()),
                key: String::new(),
                message,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_defaults_says_what_the_crates_default_to() {
        let settings = read(&[]).unwrap().settings;
        // Debug texts, because not every section compares.
        assert_eq!(
            format!("{:#?}", settings.engine),
            format!("{:#?}", EngineConfig::default())
        );
        assert_eq!(settings.registry, RegistryConfig::default());
        assert_eq!(settings.intake, IntakeConfig::default());
        assert_eq!(settings.session, SessionConfig::default());
        assert_eq!(settings.data_dir, Path::new("data"));
        assert!(settings.backends.is_embedded());
    }

    #[test]
    fn a_rule_over_sections_is_reported_at_its_line() {
        let leaves =
            layers::from_text("[server]\nlisten = \"0.0.0.0:80\"\n", Path::new("f")).unwrap();
        let problems = read(&leaves).unwrap_err();
        assert!(problems[0].to_string().starts_with("f:2: "), "{problems:?}");
    }
}
