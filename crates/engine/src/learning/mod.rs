//! Learning while serving: one thread follows the stream of examples, teaches the online ranker, and
//! lets requests see what was learnt at least every second.
//!
//! What it knows is a function of the stream alone: weights, accumulators, position and the last
//! origin of each partition are stored together, so after a crash it goes on where that stands and
//! ends at the same bits. Every process that serves learns for itself from the same stream, and all
//! come to the same weights.
//!
//! It does not label examples (the fold does), and no request waits for it.

mod checkpoint;
mod config;
mod meters;

pub use checkpoint::{StoredTraining, TrainingFile, load as load_training};
pub use config::OnlineRankingConfig;

use crate::background::StopSignal;
use crate::config::EngineConfig;
use crate::error::EngineError;
use meters::LearningMeters;
use nowcast_disk::Fs;
use nowcast_features::{AttributionConfig, ObjectiveConfig};
use nowcast_log::{EventLog, LogError, StoredBatch};
use nowcast_models::online::Objective;
use nowcast_recommend::ranking::{LiveRanker, OnlineTraining};
use nowcast_types::{Offset, PartitionId, Record, Stream};
use parking_lot::Mutex;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The only partition of the examples.
const PARTITION: PartitionId = PartitionId(0);
/// Longest wait for new examples before looking at the clock and the stop flag again.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// Pause after the log could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// Where the learner stands.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LearningStatus {
    /// The next example to be learnt.
    pub position: Offset,
    /// One past the last example there is.
    pub end: Offset,
    /// The position of what is stored.
    pub durable: Offset,
    /// Examples learnt since the start.
    pub learnt: u64,
    /// Examples passed over since the start, because they had been learnt before.
    pub repeated: u64,
    /// Why it has stopped; it goes on at the next start.
    pub failure: Option<String>,
}

/// What the learner works with.
pub struct LearnerParts {
    /// Where examples are read.
    pub log: Arc<dyn EventLog>,
    /// Where what was learnt is stored.
    pub file: TrainingFile,
    /// Who serves from it.
    pub ranker: Arc<LiveRanker>,
    /// How it learns.
    pub config: OnlineRankingConfig,
    /// What it learns.
    pub objectives: Vec<Objective>,
}

/// The thread and the way to stop it.
pub struct Learner {
    stop: Arc<StopSignal>,
    status: Arc<Mutex<LearningStatus>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Starts the learner of an engine with this data folder, if it is to have one.
///
/// # Errors
/// As [`Learner::start`].
pub fn start(
    config: &EngineConfig,
    (fs, data_dir): (&Arc<dyn Fs>, &Path),
    log: &Arc<dyn EventLog>,
    ranker: Arc<LiveRanker>,
) -> Result<Option<Learner>, EngineError> {
    let attribution = &config.fold.attribution;
    if !attribution.enabled || !config.online.enabled {
        return Ok(None);
    }
    Learner::start(LearnerParts {
        log: Arc::clone(log),
        file: TrainingFile::in_folder(Arc::clone(fs), data_dir)?,
        ranker,
        config: config.online.clone(),
        objectives: objectives(attribution),
    })
    .map(Some)
}

/// What the labels of a configuration teach.
#[must_use]
pub fn objectives(attribution: &AttributionConfig) -> Vec<Objective> {
    let of = |objective: &ObjectiveConfig| Objective {
        name: objective.name.clone(),
        weight: objective.weight,
    };
    attribution.objectives.iter().map(of).collect()
}

impl Learner {
    /// Restores what was learnt, lets requests see it, and starts the thread.
    ///
    /// # Errors
    /// A configuration that makes no sense; a log or a disk that fails; no thread.
    pub fn start(parts: LearnerParts) -> Result<Self, EngineError> {
        let mut training = restore(&parts)?;
        parts.ranker.follow(training.ranker_mut());
        let stop = Arc::new(StopSignal::default());
        let status = Arc::new(Mutex::new(LearningStatus {
            position: training.position(),
            end: training.position(),
            durable: training.position(),
            ..LearningStatus::default()
        }));
        let now = Instant::now();
        let course = Course {
            meters: LearningMeters::new(&parts.objectives),
            stored: training.position(),
            training,
            parts,
            status: Arc::clone(&status),
            stop: Arc::clone(&stop),
            is_published: true,
            publish_at: now,
            store_at: now,
        };
        let thread = std::thread::Builder::new()
            .name("online-learner".to_owned())
            .spawn(move || course.run())
            .map_err(|error| EngineError::Unavailable(format!("no thread: {error}")))?;
        Ok(Self {
            stop,
            status,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> LearningStatus {
        self.status.lock().clone()
    }

    /// Learns what is there, stores it and ends the thread.
    pub fn stop(&self) {
        self.stop.set();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the learner's thread has panicked");
        }
    }
}

/// What was stored, or a beginning: at the first example there is.
fn restore(parts: &LearnerParts) -> Result<OnlineTraining, EngineError> {
    let bounds = parts.log.bounds(Stream::Examples, PARTITION)?;
    let (config, correction) = (parts.config.ranker(), parts.config.correction_importance);
    let stored = parts
        .file
        .read()?
        .and_then(|stored| stored.training(config, &parts.objectives, correction));
    match stored {
        Some(training) if training.position() <= bounds.end => Ok(training),
        other => {
            if let Some(ahead) = other {
                let (position, end) = (ahead.position(), bounds.end);
                tracing::error!(
                    position,
                    end,
                    "the stream of examples is shorter than what was learnt: learning again"
                );
            }
            let objectives = parts.objectives.clone();
            let training = OnlineTraining::new(config, objectives, correction, bounds.earliest);
            training.map_err(|error| EngineError::Config(error.to_string()))
        }
    }
}

/// The learner's thread.
struct Course {
    parts: LearnerParts,
    training: OnlineTraining,
    meters: LearningMeters,
    status: Arc<Mutex<LearningStatus>>,
    stop: Arc<StopSignal>,
    is_published: bool,
    publish_at: Instant,
    /// The position of what is stored, and when it is stored again.
    stored: Offset,
    store_at: Instant,
}

impl Course {
    fn run(mut self) {
        let outcome = self.learn_until_stopped();
        // What was learnt up to here is right, whatever came then.
        self.publish();
        self.store();
        if let Err(error) = outcome {
            tracing::error!(%error, "the online learner has stopped");
            self.status.lock().failure = Some(error.to_string());
        }
    }

    fn learn_until_stopped(&mut self) -> Result<(), LogError> {
        loop {
            let has_learnt = match self.learn_available() {
                Ok(has_learnt) => has_learnt,
                Err(LogError::OutOfRange { earliest, .. })
                    if earliest > self.training.position() =>
                {
                    let position = self.training.position();
                    tracing::warn!(position, earliest, "examples were retired before learning");
                    self.training.pass(earliest - 1);
                    true
                }
                Err(error) if error.is_retryable() => {
                    tracing::warn!(%error, "the examples cannot be read");
                    if self.stop.sleep_until(Instant::now() + PAUSE) {
                        return Ok(());
                    }
                    false
                }
                Err(error) => return Err(error),
            };
            self.publish_if_due();
            self.store_if_due();
            if !has_learnt {
                if self.stop.sleep_until(Instant::now()) {
                    return Ok(());
                }
                let wait = self.parts.config.publish_interval.duration().min(WAIT_MAX);
                let position = self.training.position();
                let log = &self.parts.log;
                log.wait_beyond(Stream::Examples, PARTITION, position, wait);
            }
        }
    }

    /// Learns one read's worth of examples; false if there were none.
    fn learn_available(&mut self) -> Result<bool, LogError> {
        let bytes_max = self.parts.config.read_bytes_max.bytes() as usize;
        let position = self.training.position();
        let log = &self.parts.log;
        let batches = log.read(Stream::Examples, PARTITION, position, bytes_max)?;
        let all = batches.iter().flat_map(StoredBatch::records);
        for (offset, record) in all.filter(|(offset, _)| *offset >= position) {
            match record? {
                Record::Example(example) => {
                    let meters = &mut self.meters;
                    let lesson = self
                        .training
                        .take(offset, &example, |taught| meters.taught(&taught));
                    self.meters.lesson(lesson, &mut self.status.lock());
                }
                _ => self.training.pass(offset),
            }
        }
        let end = log.bounds(Stream::Examples, PARTITION)?.end;
        let mut status = self.status.lock();
        status.position = self.training.position();
        status.end = end;
        drop(status);
        self.meters
            .lag(end.saturating_sub(self.training.position()));
        self.is_published &= batches.is_empty();
        Ok(!batches.is_empty())
    }

    fn publish_if_due(&mut self) {
        if !self.is_published && Instant::now() >= self.publish_at {
            self.publish();
        }
    }

    fn publish(&mut self) {
        let rows = self.parts.ranker.publish_from(self.training.ranker_mut());
        self.meters.published(rows);
        self.is_published = true;
        self.publish_at = Instant::now() + self.parts.config.publish_interval.duration();
    }

    fn store_if_due(&mut self) {
        if Instant::now() >= self.store_at {
            self.store();
        }
    }

    /// Stores what was learnt, with its position; then the log may retire what it was learnt from.
    fn store(&mut self) {
        self.store_at = Instant::now() + self.parts.config.checkpoint_interval.duration();
        let position = self.training.position();
        if position == self.stored {
            return;
        }
        let stored = self.parts.file.write(&self.training);
        let protected = stored.map_err(EngineError::from).and_then(|()| {
            let log = &self.parts.log;
            Ok(log.protect(Stream::Examples, PARTITION, position)?)
        });
        match protected {
            Ok(()) => {
                self.stored = position;
                self.status.lock().durable = position;
            }
            Err(error) => tracing::error!(%error, "what was learnt could not be stored"),
        }
    }
}
