//! One training: read the log, build the data set, fit and validate each model, publish.

use crate::config::TrainingConfig;
use crate::dataset::{Dataset, DatasetBuilder, DatasetStats};
use crate::error::TrainingError;
use crate::publish::{live_artifact, publish};
use crate::validate::{Validation, fit_validated};
use nowcast_log::{EventLog, LogError};
use nowcast_models::{Model, Progress};
use nowcast_store::{ArtifactStore, Catalog};
use nowcast_types::{EventTypes, PartitionId, Span, Stream};
use std::sync::Arc;
use std::time::Instant;

/// Bytes of log read at a time.
const READ_BYTES: usize = 4 << 20;

/// What a training works with.
#[derive(Clone)]
pub struct TrainerDeps {
    /// Where events come from.
    pub log: Arc<dyn EventLog>,
    /// Where item contents come from.
    pub catalog: Arc<Catalog>,
    /// Where models go.
    pub artifacts: Arc<ArtifactStore>,
    /// What event types mean.
    pub types: Arc<EventTypes>,
    /// How long after it was shown in a slot something done with an item came of that.
    pub attribution_window: Span,
}

/// How much a training does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// Every model from its beginning.
    Full,
    /// What is live is brought up to date, where its trainer can do that; the others stay.
    Refresh,
}

/// What one training did.
#[derive(Debug, Clone, serde::Serialize)]
pub struct TrainingReport {
    /// Whether models began anew.
    pub effort: Effort,
    /// Where the records went.
    pub dataset: DatasetStats,
    /// Users in the data set.
    pub users: usize,
    /// Items in the data set.
    pub items: usize,
    /// Interactions in the data set.
    pub interactions: usize,
    /// Seconds to read the log and build the data set.
    pub dataset_seconds: f64,
    /// By model, in the order of the config.
    pub models: Vec<ModelOutcome>,
}

/// What became of one model.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ModelOutcome {
    /// Its name.
    pub model: String,
    /// The version that is now live; absent when it was not published.
    pub version: Option<u64>,
    /// What validation found; absent when training failed.
    pub validation: Option<Validation>,
    /// Why training or publishing failed.
    pub error: Option<String>,
    /// Seconds to fit and validate.
    pub train_seconds: f64,
    /// Bytes of the artifact.
    pub artifact_bytes: usize,
}

/// Reads all events that the log still has.
///
/// # Errors
/// Those of the log. A record that does not decode is skipped, as the fold skips it.
pub fn read_dataset(
    deps: &TrainerDeps,
    config: &TrainingConfig,
    progress: &dyn Progress,
) -> Result<Dataset, TrainingError> {
    let mut builder = DatasetBuilder::new(deps.types.clone(), config, deps.attribution_window);
    for partition in (0..deps.log.partitions(Stream::Events)).map(PartitionId) {
        read_partition(&*deps.log, partition, &mut builder, progress)?;
    }
    Ok(builder.build(Some(&deps.catalog)))
}

fn read_partition(
    log: &dyn EventLog,
    partition: PartitionId,
    builder: &mut DatasetBuilder,
    progress: &dyn Progress,
) -> Result<(), TrainingError> {
    let bounds = log.bounds(Stream::Events, partition)?;
    let mut next = bounds.earliest;
    while next < bounds.end {
        let batches = match log.read(Stream::Events, partition, next, READ_BYTES) {
            // Retention went past us between two reads: go on where the log now begins.
            Err(LogError::OutOfRange { earliest, .. }) if earliest > next => {
                next = earliest;
                continue;
            }
            outcome => outcome?,
        };
        let Some(last) = batches.last() else {
            break;
        };
        let end = last.end_offset();
        for batch in &batches {
            let fresh = batch.records().skip_while(|(offset, _)| *offset < next);
            for (_, record) in fresh {
                if let Ok(record) = record {
                    builder.apply(&record);
                }
            }
        }
        next = end;
        progress.report(
            next - bounds.earliest,
            bounds.end - bounds.earliest,
            "events",
        );
    }
    Ok(())
}

/// Trains every model of the config, or refreshes those that can be, and publishes those that pass. `on_published` gets each new
/// live model with its version. A model that fails does not stop the others.
///
/// # Errors
/// Those of the log and the config; [`TrainingError::TooFew`] when there is not enough data.
pub fn train_once(
    deps: &TrainerDeps,
    config: &TrainingConfig,
    effort: Effort,
    progress: &dyn Progress,
    on_published: &dyn Fn(Arc<dyn Model>, u64),
) -> Result<TrainingReport, TrainingError> {
    config.check()?;
    let started = Instant::now();
    let dataset = read_dataset(deps, config, progress)?;
    let dataset_seconds = started.elapsed().as_secs_f64();
    let data = &dataset.interactions;
    if data.len() < config.interactions_min {
        return Err(TrainingError::TooFew {
            have: data.len(),
            need: config.interactions_min,
        });
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(config.threads)
        .thread_name(|n| format!("train-{n}"))
        .build()
        .map_err(|error| TrainingError::Config(format!("no threads to train with: {error}")))?;
    let mut models = Vec::with_capacity(config.models.len());
    for name in &config.models {
        let started = Instant::now();
        let mut outcome = ModelOutcome {
            model: name.clone(),
            version: None,
            validation: None,
            error: None,
            train_seconds: 0.0,
            artifact_bytes: 0,
        };
        let fitted = match effort {
            Effort::Full => pool.install(|| fit_validated(name, data, None, config, progress)),
            Effort::Refresh => live_artifact(&deps.artifacts, name).and_then(|live| {
                let Some(live) = live else { return Ok(None) };
                pool.install(|| fit_validated(name, data, Some(&live), config, progress))
            }),
        };
        outcome.train_seconds = started.elapsed().as_secs_f64();
        match fitted {
            Err(error) => outcome.error = Some(error.to_string()),
            // There is nothing to refresh.
            Ok(None) => continue,
            Ok(Some(fitted)) => {
                outcome.artifact_bytes = fitted.artifact.len();
                if fitted.validation.is_passed {
                    match publish(&deps.artifacts, name, &fitted.artifact) {
                        Err(error) => outcome.error = Some(error.to_string()),
                        Ok(version) => {
                            outcome.version = Some(version);
                            on_published(fitted.model, version);
                        }
                    }
                }
                outcome.validation = Some(fitted.validation);
            }
        }
        models.push(outcome);
    }
    Ok(TrainingReport {
        effort,
        dataset: dataset.stats,
        users: data.users_len(),
        items: data.items_len(),
        interactions: data.len(),
        dataset_seconds,
        models,
    })
}
