//! The real file system. Each mutating call passes a failpoint before and after, so that a test
//! can stop the process at any of them by number.

use crate::error::DiskError;
use crate::failpoint::hit;
use crate::fs::{DirEntry, File, FileLock, Fs, OpenMode};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct StdFs;

#[derive(Debug)]
struct StdFile {
    file: fs::File,
    path: PathBuf,
}

impl Fs for StdFs {
    fn create_dir_all(&self, path: &Path) -> Result<(), DiskError> {
        fs::create_dir_all(path).map_err(|e| DiskError::io("create folder", path, e))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn File>, DiskError> {
        let mut options = fs::OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::ReadWrite => {
                options.write(true);
            }
            OpenMode::CreateNew => {
                hit("fs.create.before");
                options.write(true).create_new(true);
            }
        }
        let file = options
            .open(path)
            .map_err(|e| DiskError::io("open", path, e))?;
        Ok(Arc::new(StdFile {
            file,
            path: path.to_owned(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        hit("fs.rename.before");
        fs::rename(from, to).map_err(|e| DiskError::io("rename", from, e))?;
        hit("fs.rename.after");
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        hit("fs.remove.before");
        fs::remove_file(path).map_err(|e| DiskError::io("remove", path, e))?;
        hit("fs.remove.after");
        Ok(())
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>, DiskError> {
        let context = |e| DiskError::io("list", dir, e);
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir).map_err(context)? {
            let entry = entry.map_err(context)?;
            let metadata = entry.metadata().map_err(context)?;
            entries.push(DirEntry {
                name: entry.file_name().to_string_lossy().into_owned(),
                len: if metadata.is_dir() { 0 } else { metadata.len() },
                is_dir: metadata.is_dir(),
            });
        }
        entries.sort();
        Ok(entries)
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        hit("fs.sync_dir.before");
        fs::File::open(dir)
            .and_then(|folder| folder.sync_all())
            .map_err(|e| DiskError::io("sync folder", dir, e))?;
        hit("fs.sync_dir.after");
        Ok(())
    }

    fn lock_exclusive(&self, path: &Path) -> Result<FileLock, DiskError> {
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|e| DiskError::io("open", path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(FileLock::new(file)),
            Err(fs::TryLockError::WouldBlock) => Err(DiskError::Locked {
                path: path.to_owned(),
            }),
            Err(fs::TryLockError::Error(e)) => Err(DiskError::io("lock", path, e)),
        }
    }
}

impl File for StdFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self
                .file
                .read_at(&mut buffer[filled..], offset + filled as u64)
            {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(DiskError::io("read", &self.path, e)),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        hit("fs.write.before");
        let context = |e| DiskError::io("write", &self.path, e);
        let half = bytes.len() / 2;
        if crate::failpoint::is_armed("fs.write.half") {
            self.file
                .write_all_at(&bytes[..half], offset)
                .map_err(context)?;
            hit("fs.write.half");
        }
        self.file.write_all_at(bytes, offset).map_err(context)?;
        hit("fs.write.after");
        Ok(())
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        hit("fs.sync.before");
        let outcome = self.file.sync_data();
        outcome.map_err(|e| DiskError::io("sync", &self.path, e))?;
        hit("fs.sync.after");
        Ok(())
    }

    fn sync_all(&self) -> Result<(), DiskError> {
        hit("fs.sync.before");
        let outcome = self.file.sync_all();
        outcome.map_err(|e| DiskError::io("sync", &self.path, e))?;
        hit("fs.sync.after");
        Ok(())
    }

    fn len(&self) -> Result<u64, DiskError> {
        let metadata = self.file.metadata();
        Ok(metadata
            .map_err(|e| DiskError::io("stat", &self.path, e))?
            .len())
    }
}
