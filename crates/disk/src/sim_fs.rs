//! A file system in memory whose crashes are as bad as a real one's may be.
//!
//! On [`SimFs::crash`] each 512-byte sector written since the last sync is kept or lost by a coin
//! of the seed, file lengths likewise, and so is each change of a folder since it was synced. A
//! sync that fails leaves its sectors marked clean without being durable, as Linux does. Lies
//! about syncing and bit flips can be asked for.

mod state;

use crate::error::DiskError;
use crate::fs::{DirEntry, File, FileLock, Fs, OpenMode};
use state::State;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What happens at the chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This operation fails with an IO error, later ones work.
    Error,
    /// This operation fails because the disk is full, later ones work.
    DiskFull,
    /// The power goes: this operation and all later ones fail until [`SimFs::crash`]. A write
    /// that is hit may still reach the disk in part.
    PowerOff,
}

/// The simulated file system; clones share it.
#[derive(Debug, Clone)]
pub struct SimFs {
    state: Arc<Mutex<State>>,
}

impl SimFs {
    /// An empty file system whose coins come from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(seed))),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of a test thread must not hide the state from the others.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loses power and comes back: what was not synced is kept or lost by chance, locks are free,
    /// old handles are dead, no fault is pending.
    pub fn crash(&self) {
        self.state().crash();
    }

    /// Plans `fault` for the `nth` change from now (from 1): create, write, sync, rename, remove
    /// or folder sync.
    pub fn fault_at(&self, nth: u64, fault: Fault) {
        let mut state = self.state();
        let at = state.operations + nth;
        state.fault = Some((at, fault));
    }

    /// From now on syncs of files say that they worked and do nothing: a planted bug.
    pub fn lie_about_sync(&self, lies: bool) {
        self.state().lies_about_sync = lies;
    }

    /// From now on syncs of folders say that they worked and do nothing: a planted bug.
    pub fn lie_about_sync_dir(&self, lies: bool) {
        self.state().lies_about_sync_dir = lies;
    }

    /// How many changes there were so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Flips one bit of a file, durably. `bit` counts from the lowest bit of the first byte.
    ///
    /// # Errors
    /// If the file does not exist or is shorter.
    pub fn flip_bit(&self, path: &Path, bit: u64) -> Result<(), DiskError> {
        self.state().flip_bit(path, bit)
    }

    /// Every file with its length, sorted by path.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        self.state().files()
    }

    /// A copy of everything, including what is not synced, with coins from `seed`.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(self.state().fork(seed))),
        }
    }
}

#[derive(Debug)]
struct SimFile {
    fs: SimFs,
    inode: u64,
    path: PathBuf,
    /// Handles opened before a crash are dead after it.
    incarnation: u64,
}

struct SimLock {
    fs: SimFs,
    path: PathBuf,
    incarnation: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.fs.state();
        if state.incarnation == self.incarnation {
            state.locks.remove(&self.path);
        }
    }
}

impl Fs for SimFs {
    fn create_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        self.state().create_dir_all(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>, DiskError> {
        let mut state = self.state();
        let inode = match mode {
            OpenMode::CreateNew => state.create(path)?,
            OpenMode::Read | OpenMode::ReadWrite => state.find("open", path)?,
        };
        Ok(Arc::new(SimFile {
            fs: self.clone(),
            inode,
            path: path.to_owned(),
            incarnation: state.incarnation,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.state().rename(from, to)
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.state().remove(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>, DiskError> {
        self.state().list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        self.state().sync_dir(dir)
    }

    fn lock_exclusive(&self, path: &Path) -> Result<FileLock, DiskError> {
        let mut state = self.state();
        state.check_power("lock", path)?;
        if !state.locks.insert(path.to_owned()) {
            return Err(DiskError::Locked {
                path: path.to_owned(),
            });
        }
        Ok(FileLock::new(SimLock {
            fs: self.clone(),
            path: path.to_owned(),
            incarnation: state.incarnation,
        }))
    }
}

impl SimFile {
    /// The state, if this handle is of the present incarnation.
    fn state(&self, operation: &'static str) -> Result<MutexGuard<'_, State>, DiskError> {
        let state = self.fs.state();
        if state.incarnation == self.incarnation {
            return Ok(state);
        }
        let dead = io::Error::other("opened before the crash");
        Err(DiskError::io(operation, &self.path, dead))
    }
}

impl File for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let state = self.state("read")?;
        state.check_power("read", &self.path)?;
        Ok(state.read(self.inode, buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        let mut state = self.state("write")?;
        state.write(self.inode, &self.path, bytes, offset)
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.state("sync")?.sync(self.inode, &self.path)
    }

    fn sync_all(&self) -> Result<(), DiskError> {
        self.state("sync")?.sync(self.inode, &self.path)
    }

    fn len(&self) -> Result<u64, DiskError> {
        let state = self.state("stat")?;
        state.check_power("stat", &self.path)?;
        Ok(state.len(self.inode))
    }
}
