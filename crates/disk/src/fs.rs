//! The trait behind which all files live, and the two ways of writing a small file whole.
//!
//! The contract is that of a POSIX system at its least helpful: a write is only safe once
//! [`File::sync_data`] returned, a name is only safe once [`Fs::sync_dir`] of its folder returned,
//! and a sync that failed says nothing about earlier writes and must never be tried again.

use crate::error::DiskError;
use std::any::Any;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    ReadWrite,
    /// A new file, for reading and writing; an existing one is an error.
    CreateNew,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The last part of its path.
    pub name: String,
    /// Length in bytes; 0 for folders.
    pub len: u64,
    /// Whether it is a folder.
    pub is_dir: bool,
}

/// A lock on a file, released when dropped (and by the system when the process ends).
pub struct FileLock(#[expect(dead_code, reason = "held for its drop")] Box<dyn Any + Send + Sync>);

impl FileLock {
    /// Wraps whatever releases the lock when it is dropped.
    pub fn new(guard: impl Any + Send + Sync) -> Self {
        Self(Box::new(guard))
    }
}

impl fmt::Debug for FileLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileLock")
    }
}

/// A file system.
pub trait Fs: fmt::Debug + Send + Sync {
    /// Creates a folder and its parents; existing ones are fine.
    ///
    /// # Errors
    /// IO.
    fn create_dir_all(&self, path: &Path) -> Result<(), DiskError>;

    /// Opens a file.
    ///
    /// # Errors
    /// IO; [`DiskError::is_not_found`] where there is none.
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>, DiskError>;

    /// Renames a file, replacing what was at `to`. Atomic, but durable only after
    /// [`Fs::sync_dir`] of both folders.
    ///
    /// # Errors
    /// IO.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;

    /// Unlinks a file. Open handles stay readable.
    ///
    /// # Errors
    /// IO.
    fn remove(&self, path: &Path) -> Result<(), DiskError>;

    /// What a folder holds, sorted by name.
    ///
    /// # Errors
    /// IO.
    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>, DiskError>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// IO.
    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError>;

    /// Takes the exclusive lock of a file, which is created if absent. Never waits.
    ///
    /// # Errors
    /// [`DiskError::Locked`] if someone else has it; IO.
    fn lock_exclusive(&self, path: &Path) -> Result<FileLock, DiskError>;
}

/// An open file.
pub trait File: fmt::Debug + Send + Sync {
    /// Reads up to `buffer.len()` bytes at `offset`; fewer only at the end of the file.
    ///
    /// # Errors
    /// IO.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// IO; part of the bytes may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError>;

    /// Makes content (and a changed length) durable: `fdatasync`.
    ///
    /// # Errors
    /// IO. Never retry: the system may have dropped the pages it failed to write.
    fn sync_data(&self) -> Result<(), DiskError>;

    /// Makes content and all metadata durable: `fsync`.
    ///
    /// # Errors
    /// As [`File::sync_data`].
    fn sync_all(&self) -> Result<(), DiskError>;

    /// Length in bytes.
    ///
    /// # Errors
    /// IO.
    fn len(&self) -> Result<u64, DiskError>;

    /// Whether the file is empty.
    ///
    /// # Errors
    /// IO.
    fn is_empty(&self) -> Result<bool, DiskError> {
        Ok(self.len()? == 0)
    }

    /// Grows the file to `len` bytes by writing zeros, so that later writes inside it change no
    /// metadata and [`File::sync_data`] needs no journal commit. Does not sync, never shrinks.
    ///
    /// # Errors
    /// IO, notably a full disk.
    fn allocate(&self, len: u64) -> Result<(), DiskError> {
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        let mut position = self.len()?;
        while position < len {
            let step = (len - position).min(ZEROS.len() as u64);
            self.write_at(&ZEROS[..step as usize], position)?;
            position += step;
        }
        Ok(())
    }

    /// Reads exactly `buffer.len()` bytes at `offset`.
    ///
    /// # Errors
    /// IO, and `UnexpectedEof` when the file is shorter.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), DiskError> {
        if self.read_at(buffer, offset)? == buffer.len() {
            return Ok(());
        }
        let short = io::Error::new(io::ErrorKind::UnexpectedEof, "file is shorter");
        Err(DiskError::io("read", Path::new(""), short))
    }
}

/// Reads a whole file.
///
/// # Errors
/// IO; [`DiskError::is_not_found`] where there is none.
pub fn read_all(fs: &dyn Fs, path: &Path) -> Result<Vec<u8>, DiskError> {
    let file = fs.open(path, OpenMode::Read)?;
    let mut bytes = vec![0; file.len()? as usize];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Replaces a file whole: after a crash there is the old content or the new, durable on return.
///
/// The order is write beside, sync, rename over, sync the folder. `path` must have a parent.
///
/// # Errors
/// IO; the old file is then still there.
pub fn write_atomic(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    let beside = Path::new(&beside);
    match fs.remove(beside) {
        Err(error) if !error.is_not_found() => return Err(error),
        _ => {}
    }
    let file = fs.open(beside, OpenMode::CreateNew)?;
    file.write_at(bytes, 0)?;
    file.sync_all()?;
    fs.rename(beside, path)?;
    fs.sync_dir(path.parent().unwrap_or(Path::new("")))
}
