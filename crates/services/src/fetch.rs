//! Getting software onto the machine, once: Debian packages, Maven artifacts, Python packages.
//!
//! What is fetched lands in the cache under a name with its version, complete or not at all, and
//! is never fetched twice: several processes that need it wait for the first.

pub(crate) mod debian;
pub(crate) mod maven;
pub(crate) mod python;

use crate::error::{At, Result, ServicesError};
use crate::places::{cache_root, lock_cache, make_dir, say};
use crate::process::tail;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Finds a program in `$PATH` or where Debian keeps servers.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

/// The cache folder `name`, filled by `fill` when it is not there yet.
///
/// `fill` gets a folder of its own, which becomes the cache folder when it succeeds: a folder in
/// the cache is complete.
pub(crate) fn once(
    name: &str,
    what: &str,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let folder = cache_root().join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    // One lock for all: Maven and pip do not share their own caches well.
    let _lock = lock_cache("fetch")?;
    if folder.is_dir() {
        return Ok(folder);
    }
    say(format_args!("fetching {what} into {}", folder.display()));
    let partial = cache_root().join(format!("{name}.partial"));
    if partial.exists() {
        std::fs::remove_dir_all(&partial).at("remove", &partial)?;
    }
    make_dir(&partial)?;
    fill(&partial)?;
    std::fs::rename(&partial, &folder).at("rename", &partial)?;
    Ok(folder)
}

/// Runs a package manager to its end.
///
/// # Errors
/// With the command and the end of its output when it fails.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ServicesError::io(format!("run {command:?}"), source))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    Err(ServicesError::Fetch {
        what: what.to_owned(),
        detail: format!(
            "{command:?} ended with {}:\n{}",
            output.status,
            tail(&String::from_utf8_lossy(&said))
        ),
    })
}
