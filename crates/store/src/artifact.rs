//! Versioned artifacts (models) and the aliases that say which version is in use.
//!
//! An artifact never changes once put; what changes is where an alias points, by one atomic
//! rename. Every byte is under a checksum that names the artifact and version, so neither damage
//! nor a file in the wrong place is ever served. It does not know what an artifact means.

use crate::error::StoreError;
use nowcast_disk::frame::{self, FrameHeader};
use nowcast_disk::{Fs, fs};
use nowcast_types::Timestamp;
use nowcast_types::stable_hash::stable_hash;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The alias that serving follows.
pub const LIVE: &str = "live";
/// The alias of what was live before, for a quick way back.
pub const PREVIOUS: &str = "previous";

const ARTIFACT: u8 = 0x21;
const ALIAS: u8 = 0x22;
/// Bytes per frame of an artifact.
const CHUNK_BYTES: usize = 64 << 20;
const NAME_LEN_MAX: usize = 64;

/// One stored version of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArtifactVersion {
    /// The version.
    pub version: u64,
    /// Length of its file in bytes.
    pub file_bytes: u64,
}

/// The artifacts of one data folder.
#[derive(Debug)]
pub struct ArtifactStore {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    versions_max: usize,
    writing: Mutex<()>,
}

impl ArtifactStore {
    /// Opens the folder, creating it if absent. Of each artifact the newest `versions_max`
    /// versions are kept, and those that an alias points at.
    ///
    /// # Errors
    /// IO.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path, versions_max: usize) -> Result<Self, StoreError> {
        fs.create_dir_all(dir)?;
        Ok(Self {
            fs,
            dir: dir.to_owned(),
            versions_max: versions_max.max(1),
            writing: Mutex::new(()),
        })
    }

    /// Stores a new version, durably, and reads it back before it counts as stored.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the version exists; [`StoreError::Invalid`] for a name that is
    /// not `a-z 0-9 _ -`; IO.
    pub fn put(&self, name: &str, version: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let _writing = self.writing.lock();
        let dir = self.folder(name)?;
        self.fs.create_dir_all(&dir)?;
        self.fs.sync_dir(&self.dir)?;
        if self
            .list(name)?
            .iter()
            .any(|known| known.version == version)
        {
            let problem = format!("version {version} of `{name}` exists; versions never change");
            return Err(StoreError::Conflict(problem));
        }
        let path = dir.join(file_name(version));
        fs::write_atomic(&*self.fs, &path, &framed(name, version, bytes))?;
        if self.get(name, version)? != bytes {
            return Err(StoreError::corrupt(
                path.display().to_string(),
                "it reads back differently",
            ));
        }
        self.prune(name)
    }

    /// Reads a version, whole and checked.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Corrupt`], IO.
    pub fn get(&self, name: &str, version: u64) -> Result<Vec<u8>, StoreError> {
        let path = self.folder(name)?.join(file_name(version));
        match fs::read_all(&*self.fs, &path) {
            Ok(file) => unframed(name, version, &file)
                .map_err(|detail| StoreError::corrupt(path.display().to_string(), detail)),
            Err(error) if error.is_not_found() => Err(self.unknown(name, version)?),
            Err(error) => Err(error.into()),
        }
    }

    /// The stored versions, oldest first; none for a name never put.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a name that is not one; IO.
    pub fn list(&self, name: &str) -> Result<Vec<ArtifactVersion>, StoreError> {
        let entries = match self.fs.list(&self.folder(name)?) {
            Ok(entries) => entries,
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut versions: Vec<ArtifactVersion> = entries
            .iter()
            .filter_map(|entry| {
                let version = entry.name.strip_suffix(".artifact")?.parse().ok()?;
                Some(ArtifactVersion {
                    version,
                    file_bytes: entry.len,
                })
            })
            .collect();
        versions.sort_by_key(|known| known.version);
        Ok(versions)
    }

    /// The names that have a folder.
    ///
    /// # Errors
    /// IO.
    pub fn names(&self) -> Result<Vec<String>, StoreError> {
        let entries = self.fs.list(&self.dir)?;
        let folders = entries.into_iter().filter(|entry| entry.is_dir);
        Ok(folders.map(|entry| entry.name).collect())
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
        let path = self.alias_path(name, alias)?;
        let file = match fs::read_all(&*self.fs, &path) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match frame::parse_frame(&file) {
            Ok((header, [])) if header.kind == ALIAS && header.epoch == epoch(name, alias) => {
                Ok(Some(header.base_offset))
            }
            _ => Err(StoreError::corrupt(
                path.display().to_string(),
                "not an alias of this artifact",
            )),
        }
    }

    /// Points an alias at a stored version: one atomic, durable step.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such version; IO.
    pub fn set_alias(&self, name: &str, alias: &str, version: u64) -> Result<(), StoreError> {
        let _writing = self.writing.lock();
        if !self
            .list(name)?
            .iter()
            .any(|known| known.version == version)
        {
            return Err(self.unknown(name, version)?);
        }
        let header = FrameHeader {
            kind: ALIAS,
            epoch: epoch(name, alias),
            base_offset: version,
            count: 0,
            max_timestamp: Timestamp(0),
            payload_len: 0,
        };
        let mut file = Vec::new();
        frame::write_frame(&mut file, &header, &[]);
        let path = self.alias_path(name, alias)?;
        Ok(fs::write_atomic(&*self.fs, &path, &file)?)
    }

    /// Makes a version live and the one that was live the previous one.
    ///
    /// # Errors
    /// As [`Self::set_alias`].
    pub fn promote(&self, name: &str, version: u64) -> Result<(), StoreError> {
        if let Some(live) = self.alias(name, LIVE)?.filter(|live| *live != version) {
            self.set_alias(name, PREVIOUS, live)?;
        }
        self.set_alias(name, LIVE, version)
    }

    fn prune(&self, name: &str) -> Result<(), StoreError> {
        let aliased = [self.alias(name, LIVE)?, self.alias(name, PREVIOUS)?];
        let versions = self.list(name)?;
        let surplus = versions.len().saturating_sub(self.versions_max);
        let dir = self.folder(name)?;
        for known in &versions[..surplus] {
            if !aliased.contains(&Some(known.version)) {
                self.fs.remove(&dir.join(file_name(known.version)))?;
            }
        }
        Ok(())
    }

    fn unknown(&self, name: &str, version: u64) -> Result<StoreError, StoreError> {
        let versions = self.list(name)?;
        let known: Vec<String> = versions.iter().map(|v| v.version.to_string()).collect();
        Ok(StoreError::NotFound {
            what: "artifact",
            name: format!("{name} version {version}"),
            known: known.join(", "),
        })
    }

    fn folder(&self, name: &str) -> Result<PathBuf, StoreError> {
        check_name(name)?;
        Ok(self.dir.join(name))
    }

    fn alias_path(&self, name: &str, alias: &str) -> Result<PathBuf, StoreError> {
        check_name(alias)?;
        Ok(self.folder(name)?.join(format!("{alias}.alias")))
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

fn file_name(version: u64) -> String {
    format!("{version:010}.artifact")
}

fn epoch(name: &str, part: &str) -> u64 {
    stable_hash(format!("{name}/{part}").as_bytes(), 0)
}

/// `base_offset` counts the frames of the file and `count` numbers them, so that none can go missing.
fn framed(name: &str, version: u64, bytes: &[u8]) -> Vec<u8> {
    let chunks: Vec<&[u8]> = if bytes.is_empty() {
        vec![bytes]
    } else {
        bytes.chunks(CHUNK_BYTES).collect()
    };
    let mut file = Vec::with_capacity(bytes.len() + 64 * chunks.len());
    for (at, chunk) in chunks.iter().enumerate() {
        let header = FrameHeader {
            kind: ARTIFACT,
            epoch: epoch(name, &version.to_string()),
            base_offset: chunks.len() as u64,
            count: at as u32,
            max_timestamp: Timestamp(0),
            payload_len: 0,
        };
        frame::write_frame(&mut file, &header, chunk);
    }
    file
}

fn unframed(name: &str, version: u64, mut file: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(file.len());
    let mut frames = 0_u32;
    let mut expected = 1;
    while u64::from(frames) < expected {
        let (header, payload) = frame::parse_frame(file).map_err(|fault| fault.to_string())?;
        let is_ours = header.kind == ARTIFACT && header.epoch == epoch(name, &version.to_string());
        if !is_ours || header.count != frames {
            return Err("a frame belongs to another artifact or place".to_owned());
        }
        bytes.extend_from_slice(payload);
        expected = header.base_offset;
        frames += 1;
        file = &file[frame::frame_len(payload.len())..];
    }
    if file.is_empty() {
        Ok(bytes)
    } else {
        Err("there are bytes behind its end".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowcast_disk::SimFs;
    use nowcast_types::ErrorKind;

    fn store(fs: &SimFs) -> ArtifactStore {
        ArtifactStore::open(Arc::new(fs.clone()), Path::new("models"), 2).unwrap()
    }

    #[test]
    fn a_version_survives_power_loss_and_never_changes() {
        let fs = SimFs::new(1);
        store(&fs).put("ials", 1, b"weights").unwrap();
        store(&fs).promote("ials", 1).unwrap();
        fs.crash();
        let store = store(&fs);
        assert_eq!(store.get("ials", 1).unwrap(), b"weights");
        assert_eq!(store.alias("ials", LIVE).unwrap(), Some(1));
        let again = store.put("ials", 1, b"other").unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict);
    }

    #[test]
    fn promotion_remembers_what_was_live_and_pruning_spares_it() {
        let store = store(&SimFs::new(1));
        for version in 1..=5 {
            store.put("ials", version, &[version as u8]).unwrap();
            if version <= 2 {
                store.promote("ials", version).unwrap();
            }
        }
        let kept: Vec<u64> = store
            .list("ials")
            .unwrap()
            .iter()
            .map(|v| v.version)
            .collect();
        assert_eq!(kept, [1, 2, 4, 5]);
        assert_eq!(store.alias("ials", PREVIOUS).unwrap(), Some(1));
        assert_eq!(store.next_version("ials").unwrap(), 6);
        let missing = store.promote("ials", 3).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert_eq!(store.alias("ials", LIVE).unwrap(), Some(2));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let fs = SimFs::new(1);
        let store = store(&fs);
        store.put("m", 7, b"0123456789").unwrap();
        store.promote("m", 7).unwrap();
        for (path, len) in fs.files() {
            for bit in 0..len * 8 {
                fs.flip_bit(&path, bit).unwrap();
                let sound = store.get("m", 7).is_ok() && store.alias("m", LIVE).is_ok();
                assert!(!sound, "bit {bit} of {}", path.display());
                fs.flip_bit(&path, bit).unwrap();
            }
        }
        assert_eq!(store.get("m", 7).unwrap(), b"0123456789");
    }

    #[test]
    fn names_cannot_leave_the_folder() {
        let store = store(&SimFs::new(1));
        for name in ["", "..", "a/b", "A", "ä"] {
            assert_eq!(
                store.put(name, 1, b"").unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
        }
    }
}
