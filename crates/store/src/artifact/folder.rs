//! Artifacts as files of a folder, through [`Fs`].
//!
//! A folder cannot compare and write in one step, so the conditional writes hold among the threads
//! of one process. Several processes may read a folder while one writes; for several writers there
//! are object stores.

use super::place::{ArtifactPlace, Entry, Found, Key, Tag};
use crate::error::StoreError;
use nowcast_disk::{Fs, fs};
use nowcast_types::stable_hash::stable_hash;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder with one folder for each artifact.
#[derive(Debug)]
pub struct Folder {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    writing: Mutex<()>,
}

impl Folder {
    /// Opens the folder, creating it if absent.
    ///
    /// # Errors
    /// IO.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path) -> Result<Self, StoreError> {
        fs.create_dir_all(dir)?;
        Ok(Self {
            fs,
            dir: dir.to_owned(),
            writing: Mutex::new(()),
        })
    }

    fn path(&self, key: Key<'_>) -> PathBuf {
        self.dir.join(key.artifact).join(key.file)
    }
}

impl ArtifactPlace for Folder {
    fn locate(&self, key: Key<'_>) -> String {
        self.path(key).display().to_string()
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let entries = self.fs.list(&self.dir)?;
        let folders = entries.into_iter().filter(|entry| entry.is_dir);
        Ok(folders.map(|entry| entry.name).collect())
    }

    fn entries(&self, artifact: &str) -> Result<Vec<Entry>, StoreError> {
        let entries = match self.fs.list(&self.dir.join(artifact)) {
            Ok(entries) => entries,
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let files = entries.into_iter().filter(|entry| !entry.is_dir);
        let entry = |entry: nowcast_disk::DirEntry| Entry {
            file: entry.name,
            bytes: entry.len,
        };
        Ok(files.map(entry).collect())
    }

    fn read(&self, key: Key<'_>) -> Result<Option<Found>, StoreError> {
        match fs::read_all(&*self.fs, &self.path(key)) {
            Ok(bytes) => {
                let tag = Tag(format!("{:016x}", stable_hash(&bytes, 0)));
                Ok(Some(Found { bytes, tag }))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn create(&self, key: Key<'_>, bytes: &[u8]) -> Result<bool, StoreError> {
        let _writing = self.writing.lock();
        self.fs.create_dir_all(&self.dir.join(key.artifact))?;
        self.fs.sync_dir(&self.dir)?;
        let known = self.entries(key.artifact)?;
        if known.iter().any(|entry| entry.file == key.file) {
            return Ok(false);
        }
        fs::write_atomic(&*self.fs, &self.path(key), bytes)?;
        Ok(true)
    }

    fn replace(&self, key: Key<'_>, seen: Option<&Tag>, bytes: &[u8]) -> Result<bool, StoreError> {
        let _writing = self.writing.lock();
        let found = self.read(key)?;
        if found.as_ref().map(|found| &found.tag) != seen {
            return Ok(false);
        }
        self.fs.create_dir_all(&self.dir.join(key.artifact))?;
        fs::write_atomic(&*self.fs, &self.path(key), bytes)?;
        Ok(true)
    }

    fn remove(&self, key: Key<'_>) -> Result<(), StoreError> {
        match self.fs.remove(&self.path(key)) {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }
}
