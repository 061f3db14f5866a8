//! A file system that counts what changes it, and can abort the process at a chosen change.
//!
//! Counting first and then aborting at 1, 2, 3, … visits every point at which a crash can leave
//! the files in a different state.

use crate::error::DiskError;
use crate::fs::{DirEntry, File, FileLock, Fs, OpenMode};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Wraps a file system; see the module.
#[derive(Debug, Clone)]
pub struct CrashFs {
    inner: Arc<dyn Fs>,
    counter: Arc<Counter>,
}

#[derive(Debug)]
struct Counter {
    operations: AtomicU64,
    /// 0 never aborts.
    abort_at: u64,
}

impl Counter {
    fn count(&self) {
        if self.operations.fetch_add(1, Ordering::SeqCst) + 1 == self.abort_at {
            std::process::abort();
        }
    }
}

impl CrashFs {
    /// Counts the changes: create, write, sync, rename, remove and folder sync.
    #[must_use]
    pub fn counting(inner: Arc<dyn Fs>) -> Self {
        Self::abort_at(inner, 0)
    }

    /// Aborts the process just before the `nth` change (from 1); 0 never does.
    #[must_use]
    pub fn abort_at(inner: Arc<dyn Fs>, nth: u64) -> Self {
        let counter = Arc::new(Counter {
            operations: AtomicU64::new(0),
            abort_at: nth,
        });
        Self { inner, counter }
    }

    /// How many changes there were so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.counter.operations.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
struct CrashFile {
    inner: Arc<dyn File>,
    counter: Arc<Counter>,
}

impl Fs for CrashFs {
    fn create_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        self.counter.count();
        self.inner.create_dir_all(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>, DiskError> {
        if mode == OpenMode::CreateNew {
            self.counter.count();
        }
        Ok(Arc::new(CrashFile {
            inner: self.inner.open(path, mode)?,
            counter: self.counter.clone(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.counter.count();
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.counter.count();
        self.inner.remove(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>, DiskError> {
        self.inner.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        self.counter.count();
        self.inner.sync_dir(dir)
    }

    fn lock_exclusive(&self, path: &Path) -> Result<FileLock, DiskError> {
        self.inner.lock_exclusive(path)
    }
}

impl File for CrashFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        self.counter.count();
        self.inner.write_at(bytes, offset)
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.counter.count();
        self.inner.sync_data()
    }

    fn sync_all(&self) -> Result<(), DiskError> {
        self.counter.count();
        self.inner.sync_all()
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.inner.len()
    }
}
