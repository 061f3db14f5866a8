//! A crash at every point: the power goes at each disk operation of a simulated disk, an operation
//! fails, the disk is full, or the process ends at each hit of each failpoint on a real one.
//!
//! Each point runs the whole script: up to the crash, restart, on to the end, another restart. The
//! power cut keeps or loses each unsynced sector by chance; the seed names the chances.

use super::rig::{Bug, Rig};
use super::script::{self, Script};
use super::{ChaosArgs, Report};
use anyhow::{Context, Result, bail};
use nowcast_disk::{Fault, Fs, SimFs, StdFs, failpoint};
use serde::Serialize;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// Where the data lie on the simulated disk.
const SIM_ROOT: &str = "data";
/// A folder in memory, where the system has one.
const MEMORY_FOLDER: &str = "/dev/shm";
/// Restarts that one point may need before it counts as not survived.
const RESTARTS_MAX: u32 = 4;
/// Threads that visit points.
const WORKERS: u64 = 2;
/// Failures told in words.
const TOLD_MAX: usize = 10;

/// What the drill found.
#[derive(Debug, Serialize)]
pub(super) struct CrashReport {
    seed: u64,
    points: u64,
    survived: u64,
    /// Simulated disk operations at which the power went, an error struck, the disk was full.
    power_cuts: u64,
    disk_errors: u64,
    disk_full: u64,
    /// Hits of failpoints at which a process was aborted.
    aborts: u64,
    seconds: f64,
}

impl Report for CrashReport {
    fn is_good(&self) -> bool {
        self.points > 0 && self.survived == self.points
    }
}

#[derive(Default)]
struct Tally {
    points: AtomicU64,
    survived: AtomicU64,
    told: Mutex<usize>,
}

impl Tally {
    fn count(&self, point: &str, outcome: Result<()>) {
        self.points.fetch_add(1, Ordering::Relaxed);
        match outcome {
            Ok(()) => {
                self.survived.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                let mut told = self.told.lock().expect("no thread panics while telling");
                if *told < TOLD_MAX {
                    eprintln!("chaos: not survived: {point}: {error:#}");
                    *told += 1;
                }
            }
        }
    }
}

/// Visits every point.
pub(super) fn run(args: &ChaosArgs) -> Result<CrashReport> {
    let started = Instant::now();
    let tally = Tally::default();
    let script = Script::new(args.seed);
    let stride = if args.short { 7 } else { 1 };
    let visit = |fault| visit_simulated(&script, args.seed, fault, stride, &tally);
    // Progress goes to stderr: the full form takes minutes.
    eprintln!("chaos: power cuts, disk errors, a full disk, aborts at failpoints");
    let power_cuts = visit(Fault::PowerOff)?;
    let disk_errors = visit(Fault::Error)?;
    let disk_full = visit(Fault::DiskFull)?;
    let aborts = visit_failpoints(&script, args, stride, &tally)?;
    Ok(CrashReport {
        seed: args.seed,
        points: tally.points.into_inner(),
        survived: tally.survived.into_inner(),
        power_cuts,
        disk_errors,
        disk_full,
        aborts,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Strikes at operation 1, 2, 3, … (or each `stride`th) until a run has no such operation left.
fn visit_simulated(
    script: &Script,
    seed: u64,
    fault: Fault,
    stride: u64,
    tally: &Tally,
) -> Result<u64> {
    let before = tally.points.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            scope.spawn(move || {
                let mut nth = 1 + worker * stride;
                loop {
                    let fs = SimFs::new(seed.wrapping_add(nth));
                    fs.fault_at(nth, fault);
                    let outcome = survive(script, &fs, None);
                    if outcome.is_ok() && fs.operations() < nth {
                        return;
                    }
                    tally.count(&format!("{fault:?} at operation {nth}"), outcome);
                    nth += WORKERS * stride;
                }
            });
        }
    });
    Ok(tally.points.load(Ordering::Relaxed) - before)
}

/// Runs the script to its end over however many crashes, and demands the right state twice.
pub(super) fn survive(script: &Script, fs: &SimFs, bug: Option<Bug>) -> Result<()> {
    let disk: Arc<dyn Fs> = Arc::new(fs.clone());
    let root = Path::new(SIM_ROOT);
    let mut done = 0;
    let mut restarts = 0;
    let oracle = script.oracle();
    let rig = loop {
        let life = Rig::open(&disk, root, bug).and_then(|(mut rig, _)| {
            script::live(&mut rig, script, done, |number| done = number + 1)?;
            let comparison = script::judge(&rig, &oracle)?;
            Ok((rig, comparison))
        });
        match life {
            Ok((rig, comparison)) => {
                comparison.demand_equal().context("after the script")?;
                break rig;
            }
            Err(error) if restarts == RESTARTS_MAX => {
                return Err(error.context(format!("after {restarts} restarts")));
            }
            // The disk failed, here or in the background.
            Err(_) => {
                restarts += 1;
                fs.crash();
            }
        }
    };
    drop(rig);
    fs.crash();
    let (rig, _) = Rig::open(&disk, root, bug).context("the last restart")?;
    script::judge(&rig, &oracle)?
        .demand_equal()
        .context("after another restart")
}

/// Aborts a child process at hit 1, 2, 3, … of each failpoint until it runs through.
fn visit_failpoints(script: &Script, args: &ChaosArgs, stride: u64, tally: &Tally) -> Result<u64> {
    let before = tally.points.load(Ordering::Relaxed);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let worker = || -> Result<()> {
            while let Some(name) = failpoint::NAMES.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut nth = 1;
                while survive_abort(script, args.seed, name, nth, tally)? {
                    nth += stride;
                }
            }
            Ok(())
        };
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .try_for_each(|w| w.join().expect("a worker does not panic"))
    })?;
    Ok(tally.points.load(Ordering::Relaxed) - before)
}

/// One child that aborts at a failpoint, and the judgement of its files; false if it never came
/// to that hit.
fn survive_abort(script: &Script, seed: u64, name: &str, nth: u64, tally: &Tally) -> Result<bool> {
    // An aborted process leaves the page cache behind, so that nothing is gained by a real disk.
    let memory = Path::new(MEMORY_FOLDER);
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)?
    } else {
        tempfile::tempdir()?
    };
    let output = Command::new(std::env::current_exe()?)
        .args(["chaos", "--seed", &seed.to_string(), "--child"])
        .arg(folder.path())
        .env("NOWCAST_FAILPOINT", format!("{name}:{nth}"))
        .stderr(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(false);
    }
    let done = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.parse::<usize>().ok())
        .next_back()
        .map_or(0, |number| number + 1);
    let disk: Arc<dyn Fs> = Arc::new(StdFs);
    let outcome = (|| {
        let (mut rig, _) = Rig::open(&disk, folder.path(), None)?;
        script::live(&mut rig, script, done, |_| {})?;
        script::judge(&rig, &script.oracle())?.demand_equal()
    })();
    tally.count(&format!("abort at {name}:{nth}"), outcome);
    Ok(true)
}

/// The child of [`survive_abort`]: runs the script on a real disk and says each step it finished.
pub(super) fn run_child(root: &Path, seed: u64) -> Result<()> {
    use std::io::Write;
    let disk: Arc<dyn Fs> = Arc::new(StdFs);
    let script = Script::new(seed);
    let (mut rig, _) = Rig::open(&disk, root, None)?;
    let mut said = Ok(());
    script::live(&mut rig, &script, 0, |number| {
        let mut out = std::io::stdout().lock();
        said = writeln!(out, "{number}").and_then(|()| out.flush());
    })?;
    if said.is_err() {
        bail!("the parent does not listen");
    }
    Ok(())
}
