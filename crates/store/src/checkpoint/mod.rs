//! Durable state: per partition a chain of checkpoint files.
//!
//! A checkpoint is what changed since the one before, with the log position it reaches, in one
//! file that exists whole or not at all. Chains grow by deltas and are compacted, file to file, into
//! a new base; the files a base replaces are kept until the base after it, so that one damaged
//! file is never the only copy. The store does not know what the state is, only that a blob is a
//! sequence of keyed sections of which the last one per key counts.

mod chain;
mod compaction;
mod file;
mod recovery;
mod state;

pub use chain::{Blobs, Chain};
pub use compaction::Compacted;
pub use recovery::Recovery;

use crate::error::StoreError;
use crate::state::Epoch;
use chain::ChainFile;
use file::{FileId, FileKind, FileReader, FileWriter, Positions};
use nowcast_disk::Fs;
use nowcast_types::{ByteSize, Offset, PartitionId, Stream};
use parking_lot::Mutex;
use serde::Deserialize;
use state::Ticket;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// When chains are compacted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Deltas since the last base at which a chain is compacted, whatever their size.
    pub deltas_max: u32,
    /// Percent of the base's bytes that deltas reach before a chain is compacted.
    pub delta_percent_max: u32,
    /// Deltas smaller than this in sum are left alone until `deltas_max`.
    pub delta_bytes_min: ByteSize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            deltas_max: 64,
            delta_percent_max: 100,
            delta_bytes_min: ByteSize(16 << 20),
        }
    }
}

/// Whose state a chain holds: one partition of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChainId {
    /// The stream whose fold the state is.
    pub stream: Stream,
    /// The partition.
    pub partition: PartitionId,
}

impl ChainId {
    /// The item catalogue's chain.
    pub const CATALOG: Self = Self {
        stream: Stream::Catalog,
        partition: PartitionId(0),
    };

    /// The chain of one partition of the events.
    #[must_use]
    pub const fn events(partition: PartitionId) -> Self {
        Self {
            stream: Stream::Events,
            partition,
        }
    }

    fn folder(self) -> String {
        format!("{}-{:05}", self.stream.name(), self.partition.0)
    }
}

/// Something found wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub(crate) file: Option<FileId>,
    /// Which file and what gave it away.
    pub detail: String,
}

impl Damage {
    /// Damage of a state as a whole, in no particular file.
    #[must_use]
    pub const fn of_state(detail: String) -> Self {
        Self { file: None, detail }
    }
}

/// Where the next file of a chain goes.
#[derive(Debug, Clone, Copy)]
struct ChainState {
    next_seq: u64,
    base_seq: u64,
    position: Offset,
    base_bytes: u64,
    delta_bytes: u64,
    deltas: u32,
    /// The files present do not lead up to `next_seq`: only a base can go on.
    needs_full: bool,
}

#[derive(Debug, Default)]
struct ChainSlot {
    state: Mutex<Option<ChainState>>,
    /// Taken only while `state` is held.
    owner: Mutex<Epoch>,
    compacting: Mutex<()>,
}

/// All chains of a data folder. One process at a time: the caller holds the folder's lock.
#[derive(Debug)]
pub struct CheckpointStore {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    config: CheckpointConfig,
    slots: Mutex<BTreeMap<ChainId, Arc<ChainSlot>>>,
}

impl CheckpointStore {
    /// Opens the folder, creating it if absent. Reads nothing: see [`Self::recovery`].
    ///
    /// # Errors
    /// IO.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path, config: CheckpointConfig) -> Result<Self, StoreError> {
        fs.create_dir_all(dir)?;
        Ok(Self {
            fs,
            dir: dir.to_owned(),
            config,
            slots: Mutex::default(),
        })
    }

    /// Starts the recovery of a chain, which must end in [`Recovery::accept`] before the chain can
    /// be appended to.
    ///
    /// # Errors
    /// IO.
    pub fn recovery(&self, chain: ChainId) -> Result<Recovery<'_>, StoreError> {
        Recovery::start(self, chain)
    }

    /// Appends what changed since the checkpoint before. Durable when it returns; after an error
    /// the outcome is unknown and only [`Self::append_full`] goes on.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a full checkpoint is due or `position` lies behind the chain's;
    /// IO.
    pub fn append_delta(
        &self,
        chain: ChainId,
        position: Offset,
        blob: &[u8],
    ) -> Result<(), StoreError> {
        self.append(chain, position, FileKind::Delta, &[blob], None)
    }

    /// Appends the whole state, as one or more blobs. Durable when it returns.
    ///
    /// # Errors
    /// IO.
    pub fn append_full(
        &self,
        chain: ChainId,
        position: Offset,
        blobs: &[&[u8]],
    ) -> Result<(), StoreError> {
        self.append(chain, position, FileKind::Base, blobs, None)?;
        self.remove_superseded(chain)
    }

    /// Whether only a full checkpoint can go on: after damage, or after a write that failed.
    #[must_use]
    pub fn needs_full(&self, chain: ChainId) -> bool {
        let slot = self.slot(chain);
        let state = slot.state.lock();
        state.is_some_and(|state| state.needs_full)
    }

    /// Whether [`Self::compact`] is worth its reads and writes now.
    #[must_use]
    pub fn wants_compaction(&self, chain: ChainId) -> bool {
        let slot = self.slot(chain);
        let state = slot.state.lock();
        let Some(state) = *state else {
            return false;
        };
        let percent = u64::from(self.config.delta_percent_max);
        let grown = state.delta_bytes >= self.config.delta_bytes_min.bytes()
            && state.delta_bytes.saturating_mul(100) >= state.base_bytes.saturating_mul(percent);
        !state.needs_full && (state.deltas >= self.config.deltas_max || grown)
    }

    /// Reads every file of a chain and reports what is damaged, for `doctor` and scrubbing.
    ///
    /// # Errors
    /// IO.
    pub fn scrub(&self, chain: ChainId) -> Result<Vec<Damage>, StoreError> {
        let dir = self.chain_dir(chain);
        let mut damage = Vec::new();
        for file in self.list(chain)? {
            let path = dir.join(file.id.name());
            match FileReader::open(&*self.fs, &path, chain, file.id).and_then(FileReader::verify) {
                Ok(_) => {}
                Err(error @ StoreError::Corrupt { .. }) => damage.push(Damage {
                    file: Some(file.id),
                    detail: error.to_string(),
                }),
                Err(error) => return Err(error),
            }
        }
        Ok(damage)
    }

    fn append(
        &self,
        chain: ChainId,
        position: Offset,
        kind: FileKind,
        blobs: &[&[u8]],
        ticket: Option<Ticket<'_>>,
    ) -> Result<(), StoreError> {
        let slot = self.slot(chain);
        let mut guard = slot.state.lock();
        let Some(state) = guard.as_mut() else {
            let problem = format!("{}: recover the chain before appending", chain.folder());
            return Err(StoreError::Conflict(problem));
        };
        if let Some(ticket) = ticket {
            ticket.check(chain, *slot.owner.lock(), state)?;
        }
        if kind == FileKind::Delta && (state.needs_full || position < state.position) {
            let problem = format!(
                "{}: a delta to {position} cannot follow position {}, a full checkpoint is due",
                chain.folder(),
                state.position
            );
            return Err(StoreError::Conflict(problem));
        }
        let id = FileId {
            seq: state.next_seq,
            kind,
        };
        let from = match kind {
            FileKind::Delta => state.position,
            FileKind::Base => 0,
        };
        // Until the write is known to have succeeded, nothing may build on it.
        state.next_seq += 1;
        state.needs_full = true;
        let positions = Positions { from, to: position };
        let len = self.write(chain, id, positions, blobs)?;
        state.needs_full = false;
        state.position = position;
        match kind {
            FileKind::Delta => {
                state.deltas += 1;
                state.delta_bytes += len;
            }
            FileKind::Base => {
                (state.deltas, state.delta_bytes) = (0, 0);
                (state.base_seq, state.base_bytes) = (id.seq, len);
            }
        }
        Ok(())
    }

    fn write(
        &self,
        chain: ChainId,
        id: FileId,
        positions: Positions,
        blobs: &[&[u8]],
    ) -> Result<u64, StoreError> {
        let dir = self.chain_dir(chain);
        let mut writer = FileWriter::create(&*self.fs, &dir, chain, id, positions)?;
        for blob in blobs {
            compaction::pieces(blob, |piece| Ok(writer.blob(piece)?))?;
        }
        let sealed = writer.seal()?;
        // What cannot be read back must not count as written.
        FileReader::open(&*self.fs, &sealed.beside, chain, id)?.verify()?;
        Ok(sealed.publish()?)
    }

    /// Removes what neither the newest base nor the one before it needs.
    fn remove_superseded(&self, chain: ChainId) -> Result<(), StoreError> {
        let files = self.list(chain)?;
        let mut bases = files.iter().filter(|file| file.id.kind == FileKind::Base);
        let Some(kept) = bases.nth_back(1).map(|base| base.id) else {
            return Ok(());
        };
        let dir = self.chain_dir(chain);
        let superseded = |file: &&ChainFile| file.id.seq <= kept.seq && file.id != kept;
        for file in files.iter().filter(superseded) {
            self.fs.remove(&dir.join(file.id.name()))?;
        }
        Ok(self.fs.sync_dir(&dir)?)
    }

    fn list(&self, chain: ChainId) -> Result<Vec<ChainFile>, StoreError> {
        chain::list(&*self.fs, &self.chain_dir(chain))
    }

    fn chain_dir(&self, chain: ChainId) -> PathBuf {
        self.dir.join(chain.folder())
    }

    fn slot(&self, chain: ChainId) -> Arc<ChainSlot> {
        self.slots.lock().entry(chain).or_default().clone()
    }
}
