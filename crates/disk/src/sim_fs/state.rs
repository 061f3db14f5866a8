//! The disk behind a [`super::SimFs`]: what is there, and what would be there after a power cut.

use super::Fault;
use crate::error::DiskError;
use crate::fs::DirEntry;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// The unit a disk writes whole.
const SECTOR_BYTES: usize = 512;

#[derive(Debug, Clone, Default)]
struct Inode {
    current: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors written since the last sync. A failed sync empties it without making them durable.
    dirty_sectors: BTreeSet<usize>,
    is_len_dirty: bool,
}

/// A change of the names that is not yet durable.
#[derive(Debug, Clone)]
enum NameChange {
    Create { path: PathBuf, inode: u64 },
    Rename { from: PathBuf, to: PathBuf },
    Remove { path: PathBuf },
}

impl NameChange {
    fn touches(&self, dir: &Path) -> bool {
        let is_in = |path: &PathBuf| path.parent() == Some(dir);
        match self {
            Self::Create { path, .. } | Self::Remove { path } => is_in(path),
            Self::Rename { from, to } => is_in(from) || is_in(to),
        }
    }

    fn paths(&self) -> Vec<&PathBuf> {
        match self {
            Self::Create { path, .. } | Self::Remove { path } => vec![path],
            Self::Rename { from, to } => vec![from, to],
        }
    }

    /// Applies the change, if what it starts from is there.
    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Create { path, inode } => {
                names.insert(path.clone(), *inode);
            }
            Self::Rename { from, to } => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Self::Remove { path } => {
                names.remove(path);
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct State {
    coins: u64,
    pub(super) operations: u64,
    pub(super) fault: Option<(u64, Fault)>,
    is_powered: bool,
    pub(super) incarnation: u64,
    pub(super) lies_about_sync: bool,
    pub(super) lies_about_sync_dir: bool,
    pub(super) locks: BTreeSet<PathBuf>,
    dirs: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    pending: Vec<NameChange>,
    inodes: BTreeMap<u64, Inode>,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            coins: seed,
            operations: 0,
            fault: None,
            is_powered: true,
            incarnation: 0,
            lies_about_sync: false,
            lies_about_sync_dir: false,
            locks: BTreeSet::new(),
            dirs: BTreeSet::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending: Vec::new(),
            inodes: BTreeMap::new(),
        }
    }

    pub(super) fn fork(&self, seed: u64) -> Self {
        Self {
            dirs: self.dirs.clone(),
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            pending: self.pending.clone(),
            inodes: self.inodes.clone(),
            ..Self::new(seed)
        }
    }

    /// The next of the seed's numbers: SplitMix64 (Steele, Lea, Flood 2014).
    fn coin(&mut self) -> u64 {
        self.coins = self.coins.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.coins;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn is_heads(&mut self) -> bool {
        self.coin() & 1 == 1
    }

    pub(super) fn check_power(
        &self,
        operation: &'static str,
        path: &Path,
    ) -> Result<(), DiskError> {
        if self.is_powered {
            return Ok(());
        }
        Err(DiskError::io(operation, path, io::Error::other("no power")))
    }

    /// Counts a change, and fails it if its turn has come.
    fn change(&mut self, operation: &'static str, path: &Path) -> Result<(), DiskError> {
        self.check_power(operation, path)?;
        self.operations += 1;
        let Some((at, fault)) = self.fault else {
            return Ok(());
        };
        if self.operations != at {
            return Ok(());
        }
        self.fault = None;
        let error = match fault {
            Fault::Error => io::Error::other("simulated IO error"),
            Fault::DiskFull => io::Error::from(io::ErrorKind::StorageFull),
            Fault::PowerOff => {
                self.is_powered = false;
                io::Error::other("simulated power cut")
            }
        };
        Err(DiskError::io(operation, path, error))
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> Result<(), DiskError> {
        self.check_power("create folder", path)?;
        // Folders themselves are durable at once: only the names of files are at stake.
        self.dirs.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    pub(super) fn find(&self, operation: &'static str, path: &Path) -> Result<u64, DiskError> {
        self.check_power(operation, path)?;
        self.names
            .get(path)
            .copied()
            .ok_or_else(|| DiskError::io(operation, path, io::ErrorKind::NotFound.into()))
    }

    pub(super) fn create(&mut self, path: &Path) -> Result<u64, DiskError> {
        self.change("create", path)?;
        if self.names.contains_key(path) {
            let error = io::ErrorKind::AlreadyExists.into();
            return Err(DiskError::io("create", path, error));
        }
        if !path.parent().is_some_and(|dir| self.dirs.contains(dir)) {
            return Err(DiskError::io(
                "create",
                path,
                io::ErrorKind::NotFound.into(),
            ));
        }
        let inode = self.inodes.len() as u64;
        self.inodes.insert(inode, Inode::default());
        self.change_names(NameChange::Create {
            path: path.to_owned(),
            inode,
        });
        Ok(inode)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.find("rename", from)?;
        self.change("rename", from)?;
        self.change_names(NameChange::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
        });
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> Result<(), DiskError> {
        self.find("remove", path)?;
        self.change("remove", path)?;
        self.change_names(NameChange::Remove {
            path: path.to_owned(),
        });
        Ok(())
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }

    pub(super) fn list(&self, dir: &Path) -> Result<Vec<DirEntry>, DiskError> {
        self.check_power("list", dir)?;
        if !self.dirs.contains(dir) {
            return Err(DiskError::io("list", dir, io::ErrorKind::NotFound.into()));
        }
        let is_in = |path: &Path| path.parent() == Some(dir) && path != dir;
        let name = |path: &Path| {
            let last = path.file_name().unwrap_or_default();
            last.to_string_lossy().into_owned()
        };
        let files = self.names.iter().filter(|(path, _)| is_in(path));
        let folders = self.dirs.iter().filter(|path| is_in(path));
        let mut entries: Vec<DirEntry> = files
            .map(|(path, inode)| DirEntry {
                name: name(path),
                len: self.len(*inode),
                is_dir: false,
            })
            .chain(folders.map(|path| DirEntry {
                name: name(path),
                len: 0,
                is_dir: true,
            }))
            .collect();
        entries.sort();
        Ok(entries)
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> Result<(), DiskError> {
        self.change("sync folder", dir)?;
        if self.lies_about_sync_dir {
            return Ok(());
        }
        // What touches the folder becomes durable, and with it every earlier change of those names.
        let mut wanted: BTreeSet<PathBuf> = BTreeSet::new();
        let mut is_kept = vec![false; self.pending.len()];
        for (index, change) in self.pending.iter().enumerate().rev() {
            if change.touches(dir) || change.paths().iter().any(|path| wanted.contains(*path)) {
                wanted.extend(change.paths().into_iter().cloned());
                is_kept[index] = true;
            }
        }
        let pending = std::mem::take(&mut self.pending);
        for (change, is_kept) in pending.into_iter().zip(is_kept) {
            if is_kept {
                change.apply(&mut self.durable_names);
            } else {
                self.pending.push(change);
            }
        }
        Ok(())
    }

    pub(super) fn read(&self, inode: u64, buffer: &mut [u8], offset: u64) -> usize {
        let bytes = &self.inodes[&inode].current;
        let start = (offset as usize).min(bytes.len());
        let read = buffer.len().min(bytes.len() - start);
        buffer[..read].copy_from_slice(&bytes[start..start + read]);
        read
    }

    pub(super) fn len(&self, inode: u64) -> u64 {
        self.inodes[&inode].current.len() as u64
    }

    pub(super) fn write(
        &mut self,
        inode: u64,
        path: &Path,
        bytes: &[u8],
        offset: u64,
    ) -> Result<(), DiskError> {
        let was_powered = self.is_powered;
        let outcome = self.change("write", path);
        if outcome.is_err() && self.is_powered == was_powered {
            return outcome;
        }
        // Either it works, or the power goes during it: then the crash decides sector by sector.
        let file = self
            .inodes
            .get_mut(&inode)
            .expect("handles hold live inodes");
        let start = offset as usize;
        let end = start + bytes.len();
        if end > file.current.len() {
            file.current.resize(end, 0);
            file.is_len_dirty = true;
        }
        file.current[start..end].copy_from_slice(bytes);
        let sectors = start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES);
        file.dirty_sectors.extend(sectors);
        outcome
    }

    pub(super) fn sync(&mut self, inode: u64, path: &Path) -> Result<(), DiskError> {
        let outcome = self.change("sync", path);
        let is_powered = self.is_powered;
        let lies = self.lies_about_sync;
        let file = self
            .inodes
            .get_mut(&inode)
            .expect("handles hold live inodes");
        if outcome.is_err() {
            if is_powered {
                file.dirty_sectors.clear();
            }
            return outcome;
        }
        if lies {
            return Ok(());
        }
        file.durable.resize(file.current.len(), 0);
        file.is_len_dirty = false;
        for sector in std::mem::take(&mut file.dirty_sectors) {
            let range = sector_range(sector, file.current.len());
            file.durable[range.clone()].copy_from_slice(&file.current[range]);
        }
        Ok(())
    }

    pub(super) fn crash(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        for change in pending {
            if self.is_heads() {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        let inodes: Vec<u64> = self.inodes.keys().copied().collect();
        for inode in inodes {
            let mut file = self.inodes.remove(&inode).expect("the key was just listed");
            if file.is_len_dirty && self.is_heads() {
                file.durable.resize(file.current.len(), 0);
            }
            for sector in std::mem::take(&mut file.dirty_sectors) {
                let range = sector_range(sector, file.current.len().min(file.durable.len()));
                if self.is_heads() {
                    file.durable[range.clone()].copy_from_slice(&file.current[range]);
                }
            }
            file.current = file.durable.clone();
            file.is_len_dirty = false;
            self.inodes.insert(inode, file);
        }
        self.locks.clear();
        self.fault = None;
        self.is_powered = true;
        self.incarnation += 1;
    }

    pub(super) fn flip_bit(&mut self, path: &Path, bit: u64) -> Result<(), DiskError> {
        let inode = self.find("flip", path)?;
        let file = self.inodes.get_mut(&inode).expect("names hold live inodes");
        let (byte, mask) = ((bit / 8) as usize, 1 << (bit % 8));
        let Some(current) = file.current.get_mut(byte) else {
            let short = io::ErrorKind::UnexpectedEof.into();
            return Err(DiskError::io("flip", path, short));
        };
        *current ^= mask;
        if let Some(durable) = file.durable.get_mut(byte) {
            *durable ^= mask;
        }
        Ok(())
    }

    pub(super) fn files(&self) -> Vec<(PathBuf, u64)> {
        let len = |inode: &u64| self.len(*inode);
        let names = self.names.iter();
        names
            .map(|(path, inode)| (path.clone(), len(inode)))
            .collect()
    }
}

/// The bytes of a sector that lie below `len`.
fn sector_range(sector: usize, len: usize) -> std::ops::Range<usize> {
    let start = (sector * SECTOR_BYTES).min(len);
    start..(start + SECTOR_BYTES).min(len)
}
