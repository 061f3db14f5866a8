//! What a killed server left on its disk: read back, folded again from the beginning, and held
//! against the oracle.

use super::comparison;
use super::inspection;
use super::labels::Told;
use super::lessons::{self, Lessons};
use super::oracle::Oracle;
use super::recovery::{Reports, fold_from_log, restore};
use super::served::Served;
use super::site::{self, Site};
use anyhow::Result;
use nowcast_disk::{Fs, StdFs};
use nowcast_engine::learning::load_training;
use nowcast_features::PartitionState;
use nowcast_log::{EmbeddedLog, EventLog, LogConfig};
use nowcast_store::checkpoint::{CheckpointConfig, CheckpointStore};
use nowcast_types::{PartitionId, Stream};
use std::sync::Arc;

/// The judgement of one drill.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) state_equal: bool,
    /// The hash of each partition's state.
    pub(super) state_hashes: Vec<String>,
    pub(super) lessons: Lessons,
    pub(super) differences: Vec<String>,
}

/// Judges the data of a site whose server is gone.
pub(super) fn of(site: &Site, oracle: &Oracle, served: Served, as_of_ms: i64) -> Result<Verdict> {
    let fs: Arc<dyn Fs> = Arc::new(StdFs);
    let data = &site.install.data;
    let log = EmbeddedLog::open(
        fs.clone(),
        &data.join(site::LOG_FOLDER),
        LogConfig::default(),
        site::PARTITIONS,
    )?;
    let store = CheckpointStore::open(
        fs.clone(),
        &data.join(site::CHECKPOINT_FOLDER),
        CheckpointConfig::default(),
    )?;
    let plan = site::plan()?;
    let mut verdict = Verdict {
        differences: served.differences,
        ..Verdict::default()
    };
    let mut restored = Vec::new();
    let mut tail = Vec::new();
    for partition in (0..log.partitions(Stream::Events)).map(PartitionId) {
        let mut reports = Reports::new();
        let mut state = restore(&store, &plan, partition, &mut reports)?;
        verdict.differences.extend(reports);
        fold_from_log(&log, partition, &mut state, |_, _| {})?;
        let labelled = state.take_examples();
        let told = labelled
            .iter()
            .map(|example| Told::of(&example.record(partition)));
        tail.extend(told);
        let mut replayed = PartitionState::new(plan.clone());
        fold_from_log(&log, partition, &mut replayed, |_, _| {})?;
        if state.state_hash() != replayed.state_hash() {
            verdict.differences.push(format!(
                "partition {}: restored {:016x}, replayed {:016x}",
                partition.0,
                state.state_hash(),
                replayed.state_hash()
            ));
        }
        verdict
            .state_hashes
            .push(format!("{:016x}", state.state_hash()));
        restored.push(state);
    }
    let states: Vec<&PartitionState> = restored.iter().collect();
    let found = inspection::find(&states, &log, &served.users, as_of_ms)?;
    let comparison = comparison::compare(oracle, &found);
    verdict.lost = comparison.lost;
    verdict.doubled = comparison.doubled;
    verdict.differences.extend(comparison.differences);
    verdict.state_equal = verdict.differences.is_empty();
    // A restart would do the same: emit what the last checkpoint does not cover, and go on learning.
    let stored = load_training(fs, data)?;
    let training = lessons::training(stored.as_ref())?;
    verdict.lessons = lessons::compare(&log, &site::event_types()?, &tail, training)?;
    let differences = verdict.lessons.differences.iter().cloned();
    verdict.differences.extend(differences);
    Ok(verdict)
}
