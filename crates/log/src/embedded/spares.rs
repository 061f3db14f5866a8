//! Files that are ready to become segments: retired ones, and new ones written ahead of need.
//!
//! Overwriting what is already written changes no metadata, so a sync of it is one disk write
//! instead of several. What a spare holds means nothing; frames of its former life have another
//! epoch. The folder never holds more than the configured number, so what erased users left in
//! retired segments is bounded and overwritten first of all.

use crate::config::LogConfig;
use crate::error::LogError;
use nowcast_disk::{File, Fs, OpenMode};
use parking_lot::{Condvar, Mutex};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Zeros are synced in pieces, so that a commit beside them waits for one piece at most.
const PIECE_BYTES: u64 = 2 << 20;

/// A file outside of any partition.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn File>,
}

#[derive(Debug)]
pub(super) struct Spares {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    count_max: usize,
    segment_bytes: u64,
    next_number: AtomicU64,
    state: Mutex<SparesState>,
    has_work: Condvar,
}

#[derive(Debug, Default)]
struct SparesState {
    ready: Vec<PathBuf>,
    /// Files asked for and not yet made.
    wanted: usize,
    is_closing: bool,
}

impl Spares {
    /// Finds the spares that are there, and unlinks those beyond the limit.
    pub(super) fn open(fs: Arc<dyn Fs>, dir: &Path, config: &LogConfig) -> Result<Self, LogError> {
        fs.create_dir_all(dir)?;
        let mut ready = Vec::new();
        let mut next_number = 0;
        for entry in fs.list(dir)? {
            let path = dir.join(&entry.name);
            let number = entry.name.strip_suffix(".spare");
            let number: u64 = number.and_then(|digits| digits.parse().ok()).unwrap_or(0);
            next_number = next_number.max(number.saturating_add(1));
            if ready.len() < config.segments_spare_max {
                ready.push(path);
            } else {
                fs.remove(&path)?;
            }
        }
        fs.sync_dir(dir)?;
        Ok(Self {
            fs,
            dir: dir.to_owned(),
            count_max: config.segments_spare_max,
            segment_bytes: config.segment_bytes.bytes(),
            next_number: AtomicU64::new(next_number),
            state: Mutex::new(SparesState {
                ready,
                ..SparesState::default()
            }),
            has_work: Condvar::new(),
        })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A spare: one that is ready, else an empty new file.
    pub(super) fn take(&self) -> Result<Spare, LogError> {
        let ready = self.state.lock().ready.pop();
        if let Some(path) = ready {
            let file = self.fs.open(&path, OpenMode::ReadWrite)?;
            return Ok(Spare { path, file });
        }
        self.create()
    }

    fn create(&self) -> Result<Spare, LogError> {
        let path = self.new_path();
        let file = self.fs.open(&path, OpenMode::CreateNew)?;
        Ok(Spare { path, file })
    }

    /// A path in the folder that no file has.
    pub(super) fn new_path(&self) -> PathBuf {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        self.dir.join(format!("{number:010}.spare"))
    }

    /// Unlinks a file that could not become a segment. It may already have its new name.
    pub(super) fn discard(&self, spare: &Spare) {
        if let Err(error) = self.fs.remove(&spare.path) {
            tracing::debug!(%error, "a spare that failed is gone or stays until the next start");
        }
    }

    /// Takes a retired file that lies in the folder, durably, and that nobody reads any more.
    pub(super) fn offer(&self, path: PathBuf, is_read: bool) -> Result<(), LogError> {
        let mut state = self.state.lock();
        if !is_read && state.ready.len() < self.count_max {
            state.ready.push(path);
            return Ok(());
        }
        drop(state);
        self.fs.remove(&path)?;
        Ok(())
    }

    /// Asks for one more spare, to be written in the background.
    pub(super) fn request(&self) {
        let mut state = self.state.lock();
        if state.ready.len() + state.wanted < self.count_max {
            state.wanted += 1;
            self.has_work.notify_one();
        }
    }

    pub(super) fn close(&self) {
        self.state.lock().is_closing = true;
        self.has_work.notify_one();
    }

    /// The background thread: writes spares until the log closes.
    pub(super) fn run(&self) {
        loop {
            let mut state = self.state.lock();
            while state.wanted == 0 && !state.is_closing {
                self.has_work.wait(&mut state);
            }
            if state.is_closing {
                return;
            }
            drop(state);
            let outcome = self.write_spare();
            let mut state = self.state.lock();
            state.wanted -= 1;
            match outcome {
                Ok(path) => state.ready.extend(path),
                // The writer then makes its own and meets the same error where it counts.
                Err(error) => tracing::warn!(%error, "no spare segment could be written"),
            }
        }
    }

    /// Writes one file full of zeros; `None` if the log closed meanwhile.
    fn write_spare(&self) -> Result<Option<PathBuf>, LogError> {
        let spare = self.create()?;
        let outcome = self.fill(&spare);
        if !matches!(outcome, Ok(true)) {
            self.discard(&spare);
        }
        Ok(outcome?.then_some(spare.path))
    }

    /// Whether the whole file was written.
    fn fill(&self, spare: &Spare) -> Result<bool, LogError> {
        let mut len = 0;
        while len < self.segment_bytes {
            if self.state.lock().is_closing {
                return Ok(false);
            }
            len = (len + PIECE_BYTES).min(self.segment_bytes);
            spare.file.allocate(len)?;
            spare.file.sync_all()?;
        }
        self.fs.sync_dir(&self.dir)?;
        Ok(true)
    }
}
