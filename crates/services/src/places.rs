//! Where things lie: the cache of what was fetched, and the folders of running instances.
//!
//! Nothing is ever written into the repository. The cache survives (fetching is slow); instances
//! live under the system's temporary folder, in one folder per user.

use crate::error::{At, Result};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

/// The folder of fetched software: `$XDG_CACHE_HOME/nowcast/services`, by default under
/// `~/.cache`.
#[must_use]
pub fn cache_root() -> PathBuf {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("nowcast/services")
}

/// The folder of this user's running instances, port reservations and leases.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn run_root() -> Result<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    let path = std::env::temp_dir().join(format!("nowcast-services-{uid}"));
    make_dir(&path)?;
    Ok(path)
}

pub(crate) fn make_dir(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).at("create", path)
}

pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).at("write", path)
}

/// Opens a file that exists only to be locked. It is never removed: removing a lock file lets
/// two holders in.
pub(crate) fn open_lock(path: &Path) -> Result<File> {
    if let Some(parent) = path.parent() {
        make_dir(parent)?;
    }
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .read(true)
        .open(path)
        .at("open", path)
}

/// Waits for the lock `name` of the cache; it is held until the file is dropped.
pub(crate) fn lock_cache(name: &str) -> Result<File> {
    let path = cache_root().join(format!("{name}.lock"));
    let file = open_lock(&path)?;
    file.lock().at("lock", path)?;
    Ok(file)
}

/// Says on stderr what is being done: fetching and starting may take minutes.
pub(crate) fn say(what: impl std::fmt::Display) {
    eprintln!("services: {what}");
}

/// `prefix` with an ending that no other test has, for topics, groups, keys and buckets on a
/// server that others use too.
#[must_use]
pub fn unique_name(prefix: &str) -> String {
    format!("{prefix}-{:016x}", rand::random::<u64>())
}
