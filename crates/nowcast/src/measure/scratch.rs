//! A folder for one benchmark, on the disk that is being measured, gone afterwards.

use anyhow::Context;
use std::path::{Path, PathBuf};

/// A fresh folder that is removed when dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes `<parent>/bench-<name>-<process id>`.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(parent: &Path, name: &str) -> anyhow::Result<Self> {
        let path = parent.join(format!("bench-{name}-{}", std::process::id()));
        if path.exists() {
            std::fs::remove_dir_all(&path)
                .with_context(|| format!("cannot clear {}", path.display()))?;
        }
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left-overs of a failed removal do no harm but to tidiness.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
