//! Bugs planted on purpose, each of which the drills must notice.
//!
//! A checker that has never failed is no evidence. Every bug here lives in the rig's own wiring, in
//! the simulated disk or in forged bytes, never in the product. A control without a bug must pass.

use super::bit_flips::{End, Specimen};
use super::crash_points::survive;
use super::rig::Bug;
use super::script::Script;
use super::{ChaosArgs, Report};
use anyhow::{Context, Result};
use nowcast_disk::{Fault, SimFs};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;
use std::time::Instant;

/// Runs with other chances before a bug counts as missed.
const ATTEMPTS: u64 = 20;
/// Where a fault strikes in the runs of bugs that need one: somewhere in the middle.
const FAULT_AT: u64 = 60;
const FAULT_STEP: u64 = 7;

/// What the drill found.
#[derive(Debug, Serialize)]
pub(super) struct PlantedReport {
    seed: u64,
    planted: u64,
    caught: u64,
    /// Whether the same runs without a bug are clean.
    control_is_clean: bool,
    bugs: Vec<BugReport>,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct BugReport {
    bug: &'static str,
    is_caught: bool,
    /// How it showed.
    evidence: String,
}

impl Report for PlantedReport {
    fn is_good(&self) -> bool {
        self.planted > 0 && self.caught == self.planted && self.control_is_clean
    }
}

/// How a bug is planted.
#[derive(Clone, Copy)]
enum Plant {
    /// In the rig's wiring.
    Wiring(Bug),
    /// In the rig's wiring, and an operation of the disk fails.
    WiringAndFault(Bug),
    /// The disk says that files are synced and they are not.
    FileSyncLies,
    /// The disk says that folders are synced and they are not.
    FolderSyncLies,
    /// Damage under a matching checksum.
    ChecksumsUnchecked,
}

/// Every planted bug.
const BUGS: &[(&str, Plant)] = &[
    ("acknowledged before the sync", Plant::FileSyncLies),
    ("folder never synced", Plant::FolderSyncLies),
    (
        "position ahead of state",
        Plant::Wiring(Bug::PositionAheadOfState),
    ),
    (
        "changed user missing in a checkpoint",
        Plant::Wiring(Bug::DirtyUserForgotten),
    ),
    (
        "replay skipped after a crash",
        Plant::Wiring(Bug::ReplaySkipped),
    ),
    ("dedup off", Plant::Wiring(Bug::DedupOff)),
    ("late event applied", Plant::Wiring(Bug::LateApplied)),
    ("consent ignored", Plant::Wiring(Bug::ConsentIgnored)),
    ("erasure dropped", Plant::Wiring(Bug::ErasureDropped)),
    (
        "failed append acknowledged",
        Plant::WiringAndFault(Bug::FailureAcknowledged),
    ),
    (
        "an example labelled again after a restart",
        Plant::WiringAndFault(Bug::LabelledAgain),
    ),
    (
        "repeated examples learnt again",
        Plant::WiringAndFault(Bug::RepeatsLearnt),
    ),
    (
        "pending slates missing in a checkpoint",
        Plant::Wiring(Bug::SlatesForgotten),
    ),
    ("checksums unchecked", Plant::ChecksumsUnchecked),
];

/// Plants each bug and lets the drills look.
pub(super) fn run(args: &ChaosArgs) -> Result<PlantedReport> {
    let started = Instant::now();
    let mut bugs = Vec::new();
    for (bug, plant) in BUGS {
        let evidence = hunt(args.seed, *plant).with_context(|| format!("planting: {bug}"))?;
        bugs.push(BugReport {
            bug,
            is_caught: evidence.is_some(),
            evidence: evidence.unwrap_or_default(),
        });
    }
    Ok(PlantedReport {
        seed: args.seed,
        planted: bugs.len() as u64,
        caught: bugs.iter().filter(|bug| bug.is_caught).count() as u64,
        control_is_clean: control(args.seed),
        bugs,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// The first evidence of a bug, if the drills find any.
fn hunt(seed: u64, plant: Plant) -> Result<Option<String>> {
    if matches!(plant, Plant::ChecksumsUnchecked) {
        return hunt_unchecked(seed);
    }
    for attempt in 0..ATTEMPTS {
        let fs = SimFs::new(seed.wrapping_add(attempt));
        let bug = match plant {
            Plant::Wiring(bug) => Some(bug),
            Plant::WiringAndFault(bug) => {
                fs.fault_at(FAULT_AT + attempt * FAULT_STEP, Fault::Error);
                Some(bug)
            }
            Plant::FileSyncLies => {
                fs.lie_about_sync(true);
                None
            }
            Plant::FolderSyncLies => {
                fs.lie_about_sync_dir(true);
                None
            }
            Plant::ChecksumsUnchecked => None,
        };
        if let Err(error) = survive(&Script::new(seed.wrapping_add(attempt)), &fs, bug) {
            return Ok(Some(format!("{error:#}")));
        }
    }
    Ok(None)
}

fn hunt_unchecked(seed: u64) -> Result<Option<String>> {
    let specimen = Specimen::new(seed)?;
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..ATTEMPTS {
        if let End::Wrong(difference) = specimen.flip_unchecked(&mut rng)? {
            return Ok(Some(format!("wrong value: {difference}")));
        }
    }
    Ok(None)
}

/// The same runs with no bug: with and without a fault.
fn control(seed: u64) -> bool {
    (0..ATTEMPTS).all(|attempt| {
        let fs = SimFs::new(seed.wrapping_add(attempt));
        if attempt % 2 == 1 {
            fs.fault_at(FAULT_AT + attempt * FAULT_STEP, Fault::Error);
        }
        survive(&Script::new(seed.wrapping_add(attempt)), &fs, None).is_ok()
    })
}
