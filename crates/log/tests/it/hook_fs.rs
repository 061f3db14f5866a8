//! A file system with a hook before each change: to hold it back, to skip it, to hide its failure.

use nowcast_disk::{DirEntry, DiskError, File, FileLock, Fs, OpenMode};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Write,
    Sync,
    Rename,
    Remove,
    SyncDir,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Run,
    /// Say that it worked and do nothing.
    Skip,
    /// Do it, and say that it worked even if it did not.
    HideError,
}

type Hook = dyn Fn(Change, &Path) -> Verdict + Send + Sync;

#[derive(Clone)]
pub(crate) struct HookFs {
    inner: Arc<dyn Fs>,
    hook: Arc<Hook>,
}

impl HookFs {
    pub(crate) fn new(
        inner: Arc<dyn Fs>,
        hook: impl Fn(Change, &Path) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        let hook = Arc::new(hook);
        Self { inner, hook }
    }

    fn judge(
        &self,
        change: Change,
        path: &Path,
        run: impl FnOnce() -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        match (self.hook)(change, path) {
            Verdict::Run => run(),
            Verdict::Skip => Ok(()),
            Verdict::HideError => run().or(Ok(())),
        }
    }
}

impl fmt::Debug for HookFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HookFs({:?})", self.inner)
    }
}

#[derive(Debug)]
struct HookFile {
    fs: HookFs,
    inner: Arc<dyn File>,
    path: PathBuf,
}

impl Fs for HookFs {
    fn create_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        self.inner.create_dir_all(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>, DiskError> {
        Ok(Arc::new(HookFile {
            fs: self.clone(),
            inner: self.inner.open(path, mode)?,
            path: path.to_owned(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.judge(Change::Rename, to, || self.inner.rename(from, to))
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.judge(Change::Remove, path, || self.inner.remove(path))
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>, DiskError> {
        self.inner.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        self.judge(Change::SyncDir, dir, || self.inner.sync_dir(dir))
    }

    fn lock_exclusive(&self, path: &Path) -> Result<FileLock, DiskError> {
        self.inner.lock_exclusive(path)
    }
}

impl File for HookFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        let write = || self.inner.write_at(bytes, offset);
        self.fs.judge(Change::Write, &self.path, write)
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        self.fs
            .judge(Change::Sync, &self.path, || self.inner.sync_data())
    }

    fn sync_all(&self) -> Result<(), DiskError> {
        self.fs
            .judge(Change::Sync, &self.path, || self.inner.sync_all())
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.inner.len()
    }
}
