//! The product as a value: everything is opened here, owned here and closed here.
//!
//! Opening returns as soon as the log is recovered: state is restored and caught up with in the
//! background while lower rungs of the ladder already answer. Nothing is global, so one process
//! can hold several engines.

use crate::backends::{Backends, Embedded, LOG_DIR, Opened, Opening};
use crate::background::Background;
use crate::config::EngineConfig;
use crate::error::EngineError;
use crate::impressions::ImpressionQueue;
use crate::ingest::{Arrival, ArrivalClock, EventRules, Ingestor};
use crate::learning::{self, Learner};
use crate::meters::{Meters, MetricsRegistry};
use crate::models::{LiveModels, ModelWatch};
use crate::pseudonym::{PseudonymKey, Pseudonymizer};
use crate::slot_tally::SlotTally;
use arc_swap::ArcSwap;
use nowcast_disk::Fs;
use nowcast_features::FoldPlan;
use nowcast_log::{EventLog, LogError};
use nowcast_recommend::ranking::LiveRanker;
use nowcast_recommend::{Deps, LiveContent, ModelSet, ProcessorLive, Recommender};
use nowcast_store::{ArtifactStore, Catalog};
use nowcast_stream::{Processor, ProcessorDeps, Readiness};
use nowcast_training::{TrainerDeps, TrainerLoop, TrainingStatus};
use nowcast_types::{
    Clock, DeviceClass, EventTypes, Limits, Offset, PartitionId, Stream, Timestamp,
};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Folder of the models inside the data folder.
const MODELS_DIR: &str = "models";

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Timestamp(elapsed.map_or(0, |elapsed| elapsed.as_millis() as i64))
    }
}

/// What an engine is opened on.
pub struct Surroundings {
    /// The data folder; created if absent.
    pub data_dir: PathBuf,
    /// The folder of the key, and of models that are not elsewhere, if it is another one: processes
    /// that share log and state share it.
    pub shared_dir: Option<PathBuf>,
    /// The file system it is on.
    pub fs: Arc<dyn Fs>,
    /// What says what time it is.
    pub clock: Arc<dyn Clock>,
    /// The key of the pseudonyms, if it does not live in the data folder.
    pub key: Option<PseudonymKey>,
    /// Where log and state live.
    pub backends: Arc<dyn Backends>,
}

/// Log, fold, catalogue, models and pipeline. Share it by `Arc`.
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) types: Arc<EventTypes>,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) catalog: Arc<Catalog>,
    /// Where the catalogue's log ended when the engine was opened.
    pub(crate) catalog_end_at_open: Offset,
    pub(crate) processor: Arc<Processor>,
    pub(crate) recommender: Recommender,
    pub(crate) models: Arc<ArcSwap<ModelSet>>,
    live_models: Arc<LiveModels>,
    watch: ModelWatch,
    pub(crate) artifacts: Arc<ArtifactStore>,
    pub(crate) pseudonymizer: Arc<Pseudonymizer>,
    pub(crate) ingestor: Arc<Ingestor>,
    pub(crate) impressions: ImpressionQueue,
    pub(crate) meters: Arc<Meters>,
    pub(crate) slots: Arc<SlotTally>,
    pub(crate) edits: crate::writes::CatalogEdits,
    pub(crate) sampling: crate::writes::FreshnessSampling,
    pub(crate) rates: Arc<crate::status::Rates>,
    metrics: Arc<MetricsRegistry>,
    pub(crate) background: Background,
    pub(crate) learner: Option<Learner>,
    trainer: Mutex<Option<TrainerLoop>>,
}

impl Engine {
    /// Opens the engine of a data folder, making both folder and key if there are none.
    ///
    /// # Errors
    /// A configuration that makes no sense; a folder that cannot be read, is damaged or in use.
    pub fn open(
        config: EngineConfig,
        data_dir: &Path,
        fs: Arc<dyn Fs>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, EngineError> {
        Self::open_in(
            config,
            Surroundings {
                data_dir: data_dir.to_owned(),
                shared_dir: None,
                fs,
                clock,
                key: None,
                backends: Arc::new(Embedded),
            },
        )
    }

    /// Opens an engine with surroundings of one's own.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in(config: EngineConfig, around: Surroundings) -> Result<Arc<Self>, EngineError> {
        config.validate().map_err(EngineError::Config)?;
        let metrics = Arc::new(MetricsRegistry::new());
        let engine = metrics.within(|| Self::assemble(config, &around, Arc::clone(&metrics)))?;
        Ok(Arc::new(engine))
    }

    fn assemble(
        config: EngineConfig,
        around: &Surroundings,
        metrics: Arc<MetricsRegistry>,
    ) -> Result<Self, EngineError> {
        let types = EventTypes::with_custom(&config.events.types).map_err(EngineError::Config)?;
        let types = Arc::new(types);
        let plan = FoldPlan::compile(&config.fold, Arc::clone(&types))?;
        let (fs, dir) = (&around.fs, &around.data_dir);
        let shared_dir = around.shared_dir.as_deref().unwrap_or(dir);
        fs.create_dir_all(dir)?;
        fs.create_dir_all(shared_dir)?;
        let has_log_files = has_log_files(around)?;
        let opening = Opening {
            config: &config,
            data_dir: dir,
            fs,
            types: &types,
        };
        let Opened { log, store, duty } = around.backends.open(&opening)?;
        let has_log = has_log_files || holds_events(&*log)?;
        let pseudonymizer = Arc::new(Pseudonymizer::new(&key(around, shared_dir, has_log)?));
        let versions_max = config.serving.model_versions_kept;
        let artifacts = match around.backends.artifacts(&opening)? {
            Some(place) => ArtifactStore::on(place, versions_max),
            None => {
                ArtifactStore::open(Arc::clone(fs), &shared_dir.join(MODELS_DIR), versions_max)?
            }
        };
        let artifacts = Arc::new(artifacts);
        let catalog = Arc::new(Catalog::new());
        let catalog_end_at_open = log.bounds(Stream::Catalog, PartitionId(0))?.end;
        let processor = Arc::new(Processor::start(
            ProcessorDeps {
                log: Arc::clone(&log),
                checkpoints: store,
                duty,
                plan,
                catalog: Arc::clone(&catalog),
                clock: Arc::clone(&around.clock),
            },
            config.stream.clone(),
        )?);
        let live = ProcessorLive::new(Arc::clone(&processor), Some(&config.serving.ctr_view));
        let live = Arc::new(live);
        let live_models = Arc::new(LiveModels::load(&artifacts, &catalog));
        let models = Arc::clone(live_models.in_use());
        let content = Arc::new(LiveContent::new());
        let ranker = Arc::new(LiveRanker::default());
        let recommender = Recommender::new(
            Deps {
                live: live.clone(),
                catalog: Arc::clone(&catalog),
                models: Arc::clone(&models),
                content: Arc::clone(&content),
                ranker: Arc::clone(&ranker),
            },
            config.recommend.clone(),
        )?;
        let rules = EventRules::new(
            config.limits.clone(),
            Arc::clone(&types),
            Arc::clone(&pseudonymizer),
        );
        let ingestor = Arc::new(Ingestor::new(
            rules,
            Arc::clone(&catalog),
            Arc::clone(&log),
            nonce(),
        ));
        let meters = Arc::new(Meters::new());
        let slots = Arc::new(SlotTally::default());
        let rates = Arc::new(crate::status::Rates::default());
        let impressions = ImpressionQueue::start(
            Arc::clone(&ingestor),
            Arc::clone(&meters),
            Arc::clone(&slots),
            config.serving.impressions_queue_max,
        )?;
        let background = Background::start(crate::background::Parts {
            processor: Arc::clone(&processor),
            live,
            content,
            models: Arc::clone(&models),
            catalog: Arc::clone(&catalog),
            clock: Arc::clone(&around.clock),
            metrics: Arc::clone(&metrics),
            meters: Arc::clone(&meters),
            rates: Arc::clone(&rates),
            refresh: config.serving.trending_refresh.duration(),
        })?;
        let watch = ModelWatch::start(&live_models, config.serving.models_refresh.duration())?;
        let learner = learning::start(&config, (fs, dir), &log, ranker)?;
        let trainer = TrainerDeps {
            log: Arc::clone(&log),
            catalog: Arc::clone(&catalog),
            artifacts: Arc::clone(&artifacts),
            types: Arc::clone(&types),
            attribution_window: config.fold.attribution.window,
        };
        let trainer = start_training(trainer, &config, &live_models)?;
        Ok(Self {
            config,
            clock: Arc::clone(&around.clock),
            types,
            log,
            catalog,
            catalog_end_at_open,
            processor,
            recommender,
            models,
            live_models,
            watch,
            artifacts,
            pseudonymizer,
            ingestor,
            impressions,
            meters,
            slots,
            edits: crate::writes::CatalogEdits::default(),
            sampling: crate::writes::FreshnessSampling::default(),
            rates,
            metrics,
            background,
            learner,
            trainer: Mutex::new(trainer),
        })
    }

    /// Stops everything in order: no more impressions, background work done, a last checkpoint
    /// written. Answers go on from the last state; events are refused by the closed log only once
    /// the engine is dropped. Calling it again does nothing.
    pub fn close(&self) {
        self.impressions.stop();
        if let Some(trainer) = self.trainer.lock().take() {
            trainer.stop();
        }
        self.watch.stop();
        self.background.stop();
        self.processor.stop();
        // Last, so that it learns what the fold has labelled.
        if let Some(learner) = &self.learner {
            learner.stop();
        }
    }

    /// The present, by the engine's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How a batch that arrives now is judged.
    #[must_use]
    pub fn arrival(&self, device: DeviceClass) -> Arrival {
        Arrival {
            received_at: self.now(),
            clock: ArrivalClock::Live,
            device,
            keeps_letters: true,
        }
    }

    /// The settings it was opened with.
    #[must_use]
    pub const fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// What clients may send.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// The event types it knows.
    #[must_use]
    pub const fn event_types(&self) -> &Arc<EventTypes> {
        &self.types
    }

    /// The log, for tools.
    #[must_use]
    pub const fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// The processor, for tools.
    #[must_use]
    pub const fn processor(&self) -> &Arc<Processor> {
        &self.processor
    }

    /// The item table, for tools.
    #[must_use]
    pub const fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// The stored models, for tools.
    #[must_use]
    pub const fn artifacts(&self) -> &Arc<ArtifactStore> {
        &self.artifacts
    }

    /// The pseudonyms of this installation.
    #[must_use]
    pub const fn pseudonymizer(&self) -> &Arc<Pseudonymizer> {
        &self.pseudonymizer
    }

    /// The registry that metrics of this engine belong to.
    #[must_use]
    pub const fn metrics(&self) -> &Arc<MetricsRegistry> {
        &self.metrics
    }

    /// Everything measured, in Prometheus' text format.
    #[must_use]
    pub fn render_metrics(&self) -> String {
        self.metrics.render()
    }

    /// Whether answers reflect what has happened.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.processor.readiness()
    }

    /// Brings popularity tables and the content index up to date now instead of at the next beat:
    /// for tools that ask right after opening.
    pub fn refresh_serving(&self) {
        self.background.refresh();
    }

    /// How background training is doing; `None` where it is off.
    #[must_use]
    pub fn training_status(&self) -> Option<TrainingStatus> {
        self.trainer.lock().as_ref().map(TrainerLoop::status)
    }

    /// Puts the stored live models into use; requests in progress keep theirs.
    pub fn reload_models(&self) {
        self.live_models.reload();
    }
}

/// Starts background training, which puts each model into use as it is published.
fn start_training(
    deps: TrainerDeps,
    config: &EngineConfig,
    models: &Arc<LiveModels>,
) -> Result<Option<TrainerLoop>, EngineError> {
    if !config.training.enabled {
        return Ok(None);
    }
    let models = Arc::clone(models);
    let on_published = move |_, _| {
        models.reload();
    };
    TrainerLoop::start(deps, config.training.clone(), on_published)
        .map(Some)
        .map_err(|error| EngineError::Config(error.to_string()))
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

/// The key given, or that of the data folder: a new one only if there is no event yet.
fn key(
    around: &Surroundings,
    shared_dir: &Path,
    has_log: bool,
) -> Result<PseudonymKey, EngineError> {
    match &around.key {
        Some(key) => Ok(key.clone()),
        None => PseudonymKey::load_or_create(shared_dir, !has_log),
    }
}

/// Whether the data folder holds a log. Asked before one is opened, which may make the folder.
fn has_log_files(around: &Surroundings) -> Result<bool, EngineError> {
    match around.fs.list(&around.data_dir.join(LOG_DIR)) {
        Ok(entries) => Ok(!entries.is_empty()),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether anything was ever stored under a pseudonym: a log elsewhere may be older than the
/// folder that holds the key.
fn holds_events(log: &dyn EventLog) -> Result<bool, LogError> {
    for partition in 0..log.partitions(Stream::Events) {
        if log.bounds(Stream::Events, PartitionId(partition))?.end > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A number that another process would not draw, for ids of events that have none.
fn nonce() -> u64 {
    let mut bytes = [0_u8; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        // The clock differs between processes as well, only less surely.
        Err(_) => SystemClock.now().0 as u64,
    }
}
