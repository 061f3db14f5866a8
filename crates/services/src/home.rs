//! The folder of one running instance: configuration, data and logs.
//!
//! A private home is a temporary folder that goes away with its server; a kept one belongs to an
//! instance that outlives the process that started it.

use crate::error::{At, Result};
use crate::places::make_dir;
use crate::reaper;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Where an instance lives.
#[derive(Debug)]
pub(crate) enum Home {
    /// Removed on drop, or by the reaper when this process dies.
    Private(TempDir),
    /// Removed by whoever stops the instance.
    Kept(PathBuf),
}

impl Home {
    /// Makes a temporary home for `service`.
    pub(crate) fn private(service: &str) -> Result<Self> {
        let parent = std::env::temp_dir();
        let folder = tempfile::Builder::new()
            .prefix(&format!("nowcast-{service}-"))
            .tempdir()
            .at("create a folder in", parent)?;
        // Servers that drop root must be able to look inside.
        let all_may_enter = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), all_may_enter).at("open up", folder.path())?;
        reaper::watch_folder(folder.path())?;
        Ok(Self::Private(folder))
    }

    /// Makes an empty home at `path`, removing what lay there.
    pub(crate) fn kept(path: &Path) -> Result<Self> {
        let home = Self::Kept(path.to_owned());
        make_dir(path)?;
        home.clear()?;
        Ok(home)
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Private(folder) => folder.path(),
            Self::Kept(path) => path,
        }
    }

    /// Makes the folder `name` inside.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path().join(name);
        make_dir(&path)?;
        Ok(path)
    }

    /// Removes everything inside, for another attempt to start.
    pub(crate) fn clear(&self) -> Result<()> {
        for entry in std::fs::read_dir(self.path()).at("list", self.path())? {
            let path = entry.at("list", self.path())?.path();
            if path.is_dir() {
                std::fs::remove_dir_all(&path).at("remove", &path)?;
            } else {
                std::fs::remove_file(&path).at("remove", &path)?;
            }
        }
        Ok(())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Self::Private(folder) = self {
            reaper::forget_folder(folder.path());
        }
    }
}
