//! Versioned artifacts (models) and the aliases that say which version is in use.
//!
//! An artifact never changes once put; what changes is where an alias points, by one atomic
//! step. Every byte is under a checksum, and where the bytes are is a matter of the
//! [`ArtifactPlace`]. It does not know what an artifact means.

mod codec;
pub mod conformance;
mod folder;
mod place;

pub use folder::Folder;
pub use place::{ArtifactPlace, Entry, Found, Key, Tag};

use crate::error::StoreError;
use nowcast_disk::Fs;
use nowcast_types::ErrorKind;
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;

/// The alias that serving follows.
pub const LIVE: &str = "live";
/// The alias of what was live before, for a quick way back.
pub const PREVIOUS: &str = "previous";

const NAME_LEN_MAX: usize = 64;
/// Times that an alias is moved anew when others move it at the same moment. Each time somebody
/// else got through, so this many writers at once would be needed to run out of them.
const MOVES_MAX: usize = 64;

/// One stored version of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArtifactVersion {
    /// The version.
    pub version: u64,
    /// Length of its file in bytes.
    pub file_bytes: u64,
}

/// The artifacts of one place.
#[derive(Debug)]
pub struct ArtifactStore {
    place: Arc<dyn ArtifactPlace>,
    versions_max: usize,
    /// Held while versions are removed or aliases moved, so that what an alias is about to point
    /// at is not removed by another thread.
    writing: Mutex<()>,
}

impl ArtifactStore {
    /// Opens a folder, creating it if absent. Of each artifact the newest `versions_max`
    /// versions are kept, and those that an alias points at.
    ///
    /// # Errors
    /// IO.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path, versions_max: usize) -> Result<Self, StoreError> {
        Ok(Self::on(Arc::new(Folder::open(fs, dir)?), versions_max))
    }

    /// The artifacts of any place, keeping as many versions as [`Self::open`].
    #[must_use]
    pub fn on(place: Arc<dyn ArtifactPlace>, versions_max: usize) -> Self {
        Self {
            place,
            versions_max: versions_max.max(1),
            writing: Mutex::new(()),
        }
    }

    /// Stores a new version, durably, and reads it back before it counts as stored.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the version exists; [`StoreError::Invalid`] for a name that is
    /// not `a-z 0-9 _ -`; IO.
    pub fn put(&self, name: &str, version: u64, bytes: &[u8]) -> Result<(), StoreError> {
        check_name(name)?;
        let _writing = self.writing.lock();
        let file = version_file(version);
        let key = key_of(name, &file);
        let framed = codec::version(name, version, bytes);
        if !self.place.create(key, &framed)? {
            let problem = format!("version {version} of `{name}` exists; versions never change");
            return Err(StoreError::Conflict(problem));
        }
        if self.get(name, version)? != bytes {
            let what = self.place.locate(key);
            return Err(StoreError::corrupt(what, "it reads back differently"));
        }
        match self.prune(name) {
            // It is stored; older ones go with the next.
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::warn!(artifact = name, %error, "older versions were not removed");
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Reads a version, whole and checked.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Corrupt`], IO.
    pub fn get(&self, name: &str, version: u64) -> Result<Vec<u8>, StoreError> {
        check_name(name)?;
        let file = version_file(version);
        let key = key_of(name, &file);
        match self.place.read(key)? {
            Some(found) => codec::read_version(name, version, &found.bytes)
                .map_err(|detail| StoreError::corrupt(self.place.locate(key), detail)),
            None => Err(self.unknown(name, version)?),
        }
    }

    /// The stored versions, oldest first; none for a name never put.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a name that is not one; IO.
    pub fn list(&self, name: &str) -> Result<Vec<ArtifactVersion>, StoreError> {
        check_name(name)?;
        let entries = self.place.entries(name)?;
        let mut versions: Vec<ArtifactVersion> = entries
            .iter()
            .filter_map(|entry| {
                let version = entry.file.strip_suffix(".artifact")?.parse().ok()?;
                Some(ArtifactVersion {
                    version,
                    file_bytes: entry.bytes,
                })
            })
            .collect();
        versions.sort_by_key(|known| known.version);
        Ok(versions)
    }

    /// The names that something is stored under, in order.
    ///
    /// # Errors
    /// IO.
    pub fn names(&self) -> Result<Vec<String>, StoreError> {
        let mut names = self.place.names()?;
        names.retain(|name| check_name(name).is_ok());
        names.sort_unstable();
        Ok(names)
    }

    /// The version after the newest one; 1 for a name never put.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub fn next_version(&self, name: &str) -> Result<u64, StoreError> {
        Ok(self.list(name)?.last().map_or(1, |last| last.version + 1))
    }

    /// Where an alias points; `None` if it was never set.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Invalid`], IO.
    pub fn alias(&self, name: &str, alias: &str) -> Result<Option<u64>, StoreError> {
        match self.pointer(name, alias)? {
            Some(pointer) => self.sound(name, alias, &pointer).map(Some),
            None => Ok(None),
        }
    }

    /// Points an alias at a stored version, whatever it was and even if it was damaged: one atomic,
    /// durable step. Of several at once the last one counts.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such version; IO.
    pub fn set_alias(&self, name: &str, alias: &str, version: u64) -> Result<(), StoreError> {
        check_name(alias)?;
        let _writing = self.writing.lock();
        self.ensure_stored(name, version)?;
        self.repeat(name, || {
            let seen = self.pointer(name, alias)?;
            self.point(name, alias, seen.as_ref(), version)
        })
    }

    /// Makes a version live and the one that was live the previous one. Beside others who do the
    /// same, the previous one is what was live just before the last.
    ///
    /// # Errors
    /// As [`Self::set_alias`].
    pub fn promote(&self, name: &str, version: u64) -> Result<(), StoreError> {
        let _writing = self.writing.lock();
        self.ensure_stored(name, version)?;
        self.repeat(name, || {
            // In this order: what was previous has not moved since before it was seen what is live.
            let previous = self.pointer(name, PREVIOUS)?;
            let live = self.pointer(name, LIVE)?;
            if let Some(live) = &live {
                let replaced = self.sound(name, LIVE, live)?;
                if replaced != version
                    && !self.point(name, PREVIOUS, previous.as_ref(), replaced)?
                {
                    return Ok(false);
                }
            }
            self.point(name, LIVE, live.as_ref(), version)
        })
    }

    /// Points an alias at a version if it is where it was seen; says whether it is there now.
    fn point(
        &self,
        name: &str,
        alias: &str,
        seen: Option<&Pointer>,
        version: u64,
    ) -> Result<bool, StoreError> {
        if seen.is_some_and(|seen| seen.version == Ok(version)) {
            return Ok(true);
        }
        let file = alias_file(alias);
        let tag = seen.map(|seen| &seen.tag);
        self.place.replace(
            key_of(name, &file),
            tag,
            &codec::alias(name, alias, version),
        )
    }

    /// Makes a step that others may make fail until it is done.
    fn repeat(
        &self,
        name: &str,
        step: impl Fn() -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        for _ in 0..MOVES_MAX {
            if step()? {
                return Ok(());
            }
        }
        let problem = format!("the aliases of `{name}` are moved by others all the time");
        Err(StoreError::Conflict(problem))
    }

    fn pointer(&self, name: &str, alias: &str) -> Result<Option<Pointer>, StoreError> {
        check_name(name)?;
        check_name(alias)?;
        let file = alias_file(alias);
        let key = key_of(name, &file);
        let Some(found) = self.place.read(key)? else {
            return Ok(None);
        };
        Ok(Some(Pointer {
            version: codec::read_alias(name, alias, &found.bytes),
            tag: found.tag,
        }))
    }

    fn sound(&self, name: &str, alias: &str, pointer: &Pointer) -> Result<u64, StoreError> {
        pointer.version.map_err(|detail| {
            let what = self.place.locate(key_of(name, &alias_file(alias)));
            StoreError::corrupt(what, detail)
        })
    }

    /// Removes surplus versions. A process that points an alias at an old version at the very
    /// moment in which another one removes it is not kept from it: it then serves what it loaded.
    fn prune(&self, name: &str) -> Result<(), StoreError> {
        let versions = self.list(name)?;
        let surplus = versions.len().saturating_sub(self.versions_max);
        if surplus == 0 {
            return Ok(());
        }
        let aliased = [self.alias(name, LIVE)?, self.alias(name, PREVIOUS)?];
        for known in &versions[..surplus] {
            if !aliased.contains(&Some(known.version)) {
                self.place
                    .remove(key_of(name, &version_file(known.version)))?;
            }
        }
        Ok(())
    }

    fn ensure_stored(&self, name: &str, version: u64) -> Result<(), StoreError> {
        let versions = self.list(name)?;
        if versions.iter().any(|known| known.version == version) {
            return Ok(());
        }
        Err(not_stored(name, version, &versions))
    }

    fn unknown(&self, name: &str, version: u64) -> Result<StoreError, StoreError> {
        Ok(not_stored(name, version, &self.list(name)?))
    }
}

/// An alias as it was read.
struct Pointer {
    /// Where it points, or what is wrong with it.
    version: Result<u64, &'static str>,
    tag: Tag,
}

fn not_stored(name: &str, version: u64, versions: &[ArtifactVersion]) -> StoreError {
    let known: Vec<String> = versions.iter().map(|v| v.version.to_string()).collect();
    StoreError::NotFound {
        what: "artifact",
        name: format!("{name} version {version}"),
        known: known.join(", "),
    }
}

/// Refuses whatever could mean another folder.
fn check_name(name: &str) -> Result<(), StoreError> {
    let is_valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if name.is_empty() || name.len() > NAME_LEN_MAX || !name.bytes().all(is_valid) {
        let rule = "an artifact name or alias is 1 to 64 of a-z, 0-9, _ and -";
        return Err(StoreError::Invalid(format!("`{name}`: {rule}")));
    }
    Ok(())
}

const fn key_of<'a>(artifact: &'a str, file: &'a str) -> Key<'a> {
    Key { artifact, file }
}

fn version_file(version: u64) -> String {
    format!("{version:010}.artifact")
}

fn alias_file(alias: &str) -> String {
    format!("{alias}.alias")
}

#[cfg(test)]
mod tests;
