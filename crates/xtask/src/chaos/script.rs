//! A short, fixed run of the rig that touches every kind of file: appends, folds, checkpoints,
//! compactions, artifacts, retired and reused segments. And the judgement of what it leaves.

use super::comparison::{self, Comparison};
use super::inspection::{self, Users};
use super::oracle::Oracle;
use super::rig::{self, Rig};
use super::showing::Present;
use super::workload::{self, Operation, Workload};
use anyhow::{Context, Result};
use nowcast_features::PartitionState;

/// Operations of the script.
const OPERATIONS: usize = 48;
/// Steps between two checkpoints, publications and retirements.
const CHECKPOINT_EVERY: usize = 4;
const PUBLISH_EVERY: usize = 9;
const RETIRE_EVERY: usize = 12;
/// The present of the script: any fixed time will do.
const NOW_MS: i64 = 1_700_000_000_000;

/// What to do, in order; a step that failed is done again after the restart.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) steps: Vec<Operation>,
}

impl Script {
    /// The script of a seed.
    pub(super) fn new(seed: u64) -> Self {
        let mut workload = Workload::new(seed, 0, NOW_MS).with_showing(Present::Stepped(NOW_MS));
        let mut steps = vec![workload::opening(NOW_MS)];
        steps.extend((0..OPERATIONS).map(|_| workload.next()));
        Self { steps }
    }

    /// Carries out one step with what belongs to its number.
    pub(super) fn step(&self, rig: &mut Rig, number: usize) -> Result<()> {
        rig.perform(&self.steps[number])?;
        rig.fold()?;
        if number % CHECKPOINT_EVERY == CHECKPOINT_EVERY - 1 {
            rig.checkpoint()?;
        }
        if number % PUBLISH_EVERY == PUBLISH_EVERY - 1 {
            rig.publish()?;
        }
        if number % RETIRE_EVERY == RETIRE_EVERY - 1 {
            rig.retire_late()?;
        }
        Ok(())
    }

    /// What must be in the state after all steps.
    pub(super) fn oracle(&self) -> Oracle {
        let mut oracle = Oracle::default();
        self.steps.iter().for_each(|step| oracle.apply(step));
        // The script retires the late stream as it goes; what was there has done its work.
        oracle.forget_late();
        oracle
    }
}

/// Holds a rig against the oracle, and its live state against a replay of the whole log.
pub(super) fn judge(rig: &Rig, oracle: &Oracle) -> Result<Comparison> {
    let users: Users = oracle
        .histories()
        .into_keys()
        .map(|name| {
            let key = rig::user_key(&name);
            (name, key)
        })
        .collect();
    let states: Vec<&PartitionState> = rig.states.iter().collect();
    let found = inspection::find(&states, &rig.log, &users, NOW_MS)?;
    let mut comparison = comparison::compare(oracle, &found);
    for (live, replayed) in rig.states.iter().zip(rig.replay()?) {
        if live.state_hash() != replayed.state_hash() {
            comparison.differences.push(format!(
                "a restored state hashes to {:016x}, its replay to {:016x}",
                live.state_hash(),
                replayed.state_hash()
            ));
        }
    }
    rig.live_artifact().context("the live artifact")?;
    comparison.differences.extend(rig.lessons()?.differences);
    Ok(comparison)
}

/// The steps of a script that one life of the rig carries out, from a first one on.
pub(super) fn live(
    rig: &mut Rig,
    script: &Script,
    from: usize,
    mut each: impl FnMut(usize),
) -> Result<()> {
    for number in from..script.steps.len() {
        script.step(rig, number)?;
        each(number);
    }
    Ok(())
}
