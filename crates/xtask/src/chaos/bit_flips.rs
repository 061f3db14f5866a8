//! Single bits flipped in the files of a stopped Nowcast: each must be noticed, none may be served.
//!
//! A flip is *detected* if opening or reading says so, whether it then stops or repairs itself from
//! an older generation and the log. A flip after which every record, every state and every artifact
//! reads back as before, without a word, hit bytes that mean nothing (space not yet used, a former
//! life of a file); it is counted as *outside* and another one is drawn.

use super::forgery;
use super::rig::{self, Rig};
use super::script::{self, Script};
use super::{ChaosArgs, Report};
use anyhow::{Context, Result, ensure};
use nowcast_disk::frame::{ALIGNMENT, frame_len, parse_frame};
use nowcast_disk::{Fs, OpenMode, SimFs, read_all};
use nowcast_types::Stream;
use nowcast_types::stable_hash::stable_hash;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

const ROOT: &str = "data";
/// Failures told in words.
const TOLD_MAX: u64 = 10;
/// Flips outside live bytes before the drill gives up finding live ones.
const OUTSIDE_PER_FLIP_MAX: u64 = 20;

/// What the drill found.
#[derive(Debug, Default, Serialize)]
pub(super) struct FlipReport {
    seed: u64,
    flips: u64,
    detected: u64,
    /// Of the detected: those after which the state was nevertheless whole.
    repaired: u64,
    pub(super) wrong_values: u64,
    /// Flips that changed nothing anyone reads; not among `flips`.
    outside: u64,
    /// Flips by kind of file: log, checkpoints, artifacts.
    in_log: u64,
    in_checkpoints: u64,
    in_artifacts: u64,
    seconds: f64,
}

impl Report for FlipReport {
    fn is_good(&self) -> bool {
        self.flips > 0 && self.detected == self.flips && self.wrong_values == 0
    }
}

/// How a flip ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Detected { is_repaired: bool },
    Outside,
    Wrong(String),
}

/// Stopped files and what they must say.
pub(super) struct Specimen {
    fs: SimFs,
    script: Script,
    content: u64,
    /// Every file with the number of bytes up to its last one that is not zero.
    files: Vec<(PathBuf, u64)>,
}

impl Specimen {
    /// Runs the script of a seed to its end and stops cleanly.
    pub(super) fn new(seed: u64) -> Result<Self> {
        let fs = SimFs::new(seed);
        let disk: Arc<dyn Fs> = Arc::new(fs.clone());
        let script = Script::new(seed);
        let (mut rig, _) = Rig::open(&disk, Path::new(ROOT), None)?;
        script::live(&mut rig, &script, 0, |_| {})?;
        rig.checkpoint()?;
        let content = rig.content_hash()?;
        drop(rig);
        let mut files = Vec::new();
        for (path, _) in fs.files() {
            let bytes = read_all(&*disk, &path)?;
            let used = bytes.iter().rposition(|byte| *byte != 0);
            if let Some(last) = used {
                files.push((path, last as u64 + 1));
            }
        }
        ensure!(!files.is_empty(), "the script left no files");
        Ok(Self {
            fs,
            script,
            content,
            files,
        })
    }

    /// A random bit of a random file.
    fn draw(&self, rng: &mut StdRng) -> (&Path, u64) {
        let (path, used) = &self.files[rng.random_range(0..self.files.len())];
        (path, rng.random_range(0..used * 8))
    }

    /// Flips a bit of a copy, opens it and reads everything.
    fn flip(&self, path: &Path, bit: u64) -> Result<End> {
        let fs = self.fs.fork(bit);
        fs.flip_bit(path, bit)?;
        Ok(self.look(&Arc::new(fs)))
    }

    /// Damages a random frame of a copy under a new checksum, as if nobody checked any.
    pub(super) fn flip_unchecked(&self, rng: &mut StdRng) -> Result<End> {
        let fs = self.fs.fork(1);
        loop {
            let (path, used) = &self.files[rng.random_range(0..self.files.len())];
            let bytes = read_all(&fs, path)?;
            let frames: Vec<usize> = (0..*used as usize)
                .step_by(ALIGNMENT)
                .filter(|at| parse_frame(&bytes[*at..]).is_ok_and(|(_, p)| !p.is_empty()))
                .collect();
            if frames.is_empty() {
                continue;
            }
            let at = frames[rng.random_range(0..frames.len())];
            let (_, payload) = parse_frame(&bytes[at..]).context("the frame was there")?;
            let whole = &bytes[at..at + frame_len(payload.len())];
            let forged = forgery::flip_and_reseal(whole, rng.random_range(0..usize::MAX))?;
            let file = fs.open(path, OpenMode::ReadWrite)?;
            file.write_at(&forged, at as u64)?;
            file.sync_all()?;
            drop(file);
            return Ok(self.look(&Arc::new(fs)));
        }
    }

    fn look(&self, fs: &Arc<SimFs>) -> End {
        let disk: Arc<dyn Fs> = fs.clone();
        let Ok((rig, reports)) = Rig::open(&disk, Path::new(ROOT), None) else {
            return End::Detected { is_repaired: false };
        };
        let scrubbed = rig.scrub();
        let content = rig.content_hash();
        let judged = script::judge(&rig, &self.script.oracle());
        let (Ok(scrubbed), Ok(content), Ok(comparison)) = (scrubbed, content, judged) else {
            return End::Detected { is_repaired: false };
        };
        let is_reported = !reports.is_empty() || scrubbed > 0;
        if content != self.content || !comparison.is_equal() {
            return End::Wrong(format!(
                "reported: {is_reported}; {}",
                comparison.differences.join("; ")
            ));
        }
        if is_reported {
            End::Detected { is_repaired: true }
        } else {
            End::Outside
        }
    }
}

/// Flips as many live bits as asked.
pub(super) fn run(args: &ChaosArgs, flips: u64) -> Result<FlipReport> {
    let started = Instant::now();
    let specimen = Specimen::new(args.seed)?;
    let mut rng = StdRng::seed_from_u64(args.seed);
    let mut report = FlipReport {
        seed: args.seed,
        ..FlipReport::default()
    };
    while report.flips < flips {
        ensure!(
            report.outside <= flips * OUTSIDE_PER_FLIP_MAX,
            "almost all flips hit bytes that mean nothing"
        );
        let (path, bit) = specimen.draw(&mut rng);
        match specimen.flip(path, bit)? {
            End::Outside => {
                report.outside += 1;
                continue;
            }
            End::Detected { is_repaired } => {
                report.detected += 1;
                report.repaired += u64::from(is_repaired);
            }
            End::Wrong(difference) => {
                report.wrong_values += 1;
                if report.wrong_values <= TOLD_MAX {
                    eprintln!("chaos: bit {bit} of {}: {difference}", path.display());
                }
            }
        }
        report.flips += 1;
        report.count_place(path);
    }
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

impl FlipReport {
    fn count_place(&mut self, path: &Path) {
        let place = path.iter().nth(1).unwrap_or_default();
        match place.to_str() {
            Some("log") => self.in_log += 1,
            Some("checkpoints") => self.in_checkpoints += 1,
            _ => self.in_artifacts += 1,
        }
    }
}

impl Rig {
    /// One hash of everything that can be read: every record of every stream, every state, the
    /// live artifact. Of the late stream it is the set that counts: a state rebuilt from further
    /// back copies its late events once more.
    fn content_hash(&self) -> Result<u64> {
        let mut text = Vec::new();
        for state in &self.states {
            text.extend_from_slice(&state.state_hash().to_le_bytes());
        }
        let mut late = BTreeSet::new();
        self.each_record(|stream, offset, record| {
            let mut bytes = Vec::new();
            nowcast_log::encode(record, &mut bytes);
            if stream == Stream::Late {
                late.insert(bytes);
            } else {
                text.extend_from_slice(&offset.to_le_bytes());
                text.extend(bytes);
            }
        })?;
        text.extend(late.into_iter().flatten());
        text.extend(self.live_artifact()?);
        Ok(stable_hash(&text, 0))
    }

    /// Reads every file the way `doctor` does and says how much damage there is.
    fn scrub(&self) -> Result<usize> {
        rig::partitions()
            .map(|partition| self.scrub_partition(partition))
            .sum()
    }
}
