//! Merging a chain into a new base, from file to file, without the state it describes.
//!
//! The last section per key wins. Survivors keep the order in which they were last written, so a
//! section never comes before one it refers to. Memory is bounded by the keys of the deltas, not by
//! the state: the base is only streamed through. Nothing is replaced until the new base has been
//! read back whole.

use super::chain::{self, Chain};
use super::file::{FileId, FileKind, FileReader, FileWriter, Positions};
use super::{ChainId, CheckpointStore};
use crate::error::StoreError;
use crate::sections::{self, SectionWriter};
use foldhash::quality::RandomState;
use hashbrown::HashMap;
use nowcast_disk::Pacer;
use nowcast_types::ErrorKind;
use std::collections::BTreeSet;

/// Blobs of a base are cut at about this many bytes: what a restart holds besides the state.
const BASE_BLOB_BYTES: usize = 1 << 20;
/// Blobs longer than this are cut before they become a frame.
const FRAME_BLOB_BYTES_MAX: usize = 4 << 20;
/// Part of the time that a compaction works; disk and processor belong to others first.
const COMPACTION_SHARE: f64 = 0.5;

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Delta files merged.
    pub deltas: u32,
    /// Bytes of all files read.
    pub bytes_before: u64,
    /// Bytes of the new base.
    pub bytes_after: u64,
}

/// For each key of the deltas, which of their sections is the last.
struct LastSections {
    number_of: HashMap<Box<[u8]>, u64, RandomState>,
    scratch: Vec<u8>,
}

impl LastSections {
    fn read(chain: &Chain) -> Result<Self, StoreError> {
        let mut last = Self {
            number_of: HashMap::default(),
            scratch: Vec::new(),
        };
        let mut number = 0;
        let mut blobs = chain.blobs().skip_base();
        for blob in &mut blobs {
            sections::for_each(&blob?, |kind, key, _| {
                last.set_scratch(kind, key);
                match last.number_of.get_mut(&last.scratch[..]) {
                    Some(known) => *known = number,
                    None => {
                        last.number_of
                            .insert(last.scratch.as_slice().into(), number);
                    }
                }
                number += 1;
            })?;
        }
        Ok(last)
    }

    fn get(&mut self, kind: u8, key: &[u8]) -> Option<u64> {
        self.set_scratch(kind, key);
        self.number_of.get(&self.scratch[..]).copied()
    }

    fn set_scratch(&mut self, kind: u8, key: &[u8]) {
        self.scratch.clear();
        self.scratch.push(kind);
        self.scratch.extend_from_slice(key);
    }
}

impl CheckpointStore {
    /// Merges the chain's base and deltas into a new base; `None` if there is nothing to merge, or
    /// if another thread is at it. Checkpoints may be appended meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if a file of the chain is damaged: the next checkpoint is then a
    /// full one; IO, which leaves the chain as it was.
    pub fn compact(&self, id: ChainId) -> Result<Option<Compacted>, StoreError> {
        let slot = self.slot(id);
        let Some(_compacting) = slot.compacting.try_lock() else {
            return Ok(None);
        };
        let Some(chain) = self.chain_to_compact(id)? else {
            return Ok(None);
        };
        let bytes_after = match self.merge(&chain) {
            Ok(bytes) => bytes,
            Err(error) => {
                if error.kind() == ErrorKind::Corrupt
                    && let Some(state) = slot.state.lock().as_mut()
                {
                    state.needs_full = true;
                }
                return Err(error);
            }
        };
        let deltas = chain.files.iter().filter(|f| f.id.kind == FileKind::Delta);
        let (count, delta_bytes) = deltas.fold((0, 0), |(n, sum), file| (n + 1, sum + file.len));
        if let Some(state) = slot.state.lock().as_mut()
            && state.base_seq < chain.end()
        {
            state.base_seq = chain.end();
            state.base_bytes = bytes_after;
            state.deltas -= count;
            state.delta_bytes -= delta_bytes;
        }
        self.remove_superseded(id)?;
        Ok(Some(Compacted {
            deltas: count,
            bytes_before: chain.bytes(),
            bytes_after,
        }))
    }

    /// The chain as it stands, or `None` if it has no deltas or waits for a full checkpoint.
    fn chain_to_compact(&self, id: ChainId) -> Result<Option<Chain>, StoreError> {
        let slot = self.slot(id);
        // Held while listing, so that no file appears between the list and the number.
        let mut guard = slot.state.lock();
        let Some(state) = guard.as_mut().filter(|state| !state.needs_full) else {
            return Ok(None);
        };
        let Some(files) = chain::best(&self.list(id)?, &BTreeSet::new()) else {
            return Ok(None);
        };
        let (end, deltas) = (
            files.last().map_or(0, |file| file.id.seq),
            files.iter().any(|file| file.id.kind == FileKind::Delta),
        );
        if end + 1 != state.next_seq {
            state.needs_full = true;
            let detail = format!("file {} is missing", end + 1);
            return Err(StoreError::corrupt(id.folder(), detail));
        }
        if !deltas {
            return Ok(None);
        }
        let (fs, dir) = (self.fs.clone(), self.chain_dir(id));
        let opened = Chain::open(fs, dir, id, files);
        if let Err((_, StoreError::Corrupt { .. })) = &opened {
            state.needs_full = true;
        }
        opened.map(Some).map_err(|(_, error)| error)
    }

    /// Writes, verifies and names the new base; returns its length in bytes.
    fn merge(&self, chain: &Chain) -> Result<u64, StoreError> {
        let mut last = LastSections::read(chain)?;
        let base = FileId {
            seq: chain.end(),
            kind: FileKind::Base,
        };
        let positions = Positions {
            from: 0,
            to: chain.position(),
        };
        let mut file = FileWriter::create(&*self.fs, &chain.dir, chain.id, base, positions)?;
        let mut out = SectionWriter::new();
        let mut number = 0;
        let mut pacer = Pacer::new(COMPACTION_SHARE);
        let mut blobs = chain.blobs();
        while let Some(blob) = blobs.next() {
            let in_base = blobs.is_in_base();
            sections::for_each(&blob?, |kind, key, value| {
                let survives = match last.get(kind, key) {
                    None => true,
                    Some(last) => !in_base && last == number,
                };
                number += u64::from(!in_base);
                // A base is complete, so what is gone need not be mentioned.
                if let (true, Some(value)) = (survives, value) {
                    out.push(kind, key, Some(value));
                }
            })?;
            if out.len() >= BASE_BLOB_BYTES {
                file.blob(out.bytes())?;
                out.clear();
                pacer.rest();
            }
        }
        if !out.is_empty() {
            file.blob(out.bytes())?;
        }
        let sealed = file.seal()?;
        FileReader::open(&*self.fs, &sealed.beside, chain.id, base)?.verify()?;
        Ok(sealed.publish()?)
    }
}

/// Cuts a blob that is too long for a frame between sections; others pass as they are.
pub(super) fn pieces(
    blob: &[u8],
    mut piece: impl FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    if blob.len() <= FRAME_BLOB_BYTES_MAX {
        return piece(blob);
    }
    let mut out = SectionWriter::new();
    let mut outcome = Ok(());
    sections::for_each(blob, |kind, key, value| {
        out.push(kind, key, value);
        if out.len() >= BASE_BLOB_BYTES && outcome.is_ok() {
            outcome = piece(out.bytes());
            out.clear();
        }
    })?;
    outcome?;
    if out.is_empty() {
        return Ok(());
    }
    piece(out.bytes())
}
