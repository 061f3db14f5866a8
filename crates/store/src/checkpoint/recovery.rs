//! Choosing the chain to restart from.
//!
//! The caller tries chains, best first, until one reads without damage and makes sense to it. What
//! was found damaged is reported and never served; the next checkpoint is then a full one.

use super::chain::{self, Chain, ChainFile};
use super::file::{FileId, FileKind};
use super::{ChainId, ChainState, CheckpointStore, Damage};
use crate::error::StoreError;
use nowcast_types::ErrorKind;
use std::collections::BTreeSet;

/// A recovery in progress.
pub struct Recovery<'a> {
    store: &'a CheckpointStore,
    id: ChainId,
    files: Vec<ChainFile>,
    unusable: BTreeSet<FileId>,
    damage: Vec<Damage>,
}

impl<'a> Recovery<'a> {
    pub(super) fn start(store: &'a CheckpointStore, id: ChainId) -> Result<Self, StoreError> {
        let dir = store.chain_dir(id);
        store.fs.create_dir_all(&dir)?;
        store.fs.sync_dir(&store.dir)?;
        for entry in store.fs.list(&dir)? {
            // Left by a write that did not finish; its content was never promised to anyone.
            if entry.name.ends_with(".tmp") {
                store.fs.remove(&dir.join(entry.name))?;
            }
        }
        Ok(Self {
            files: store.list(id)?,
            store,
            id,
            unusable: BTreeSet::new(),
            damage: Vec::new(),
        })
    }

    /// The best chain that uses no file known to be damaged; `None` if there is none (left).
    ///
    /// # Errors
    /// IO.
    pub fn next_chain(&mut self) -> Result<Option<Chain>, StoreError> {
        while let Some(files) = chain::best(&self.files, &self.unusable) {
            let (fs, dir) = (self.store.fs.clone(), self.store.chain_dir(self.id));
            match Chain::open(fs, dir, self.id, files) {
                Ok(chain) => return Ok(Some(chain)),
                Err((_, error)) if error.kind() != ErrorKind::Corrupt => return Err(error),
                Err((file, error)) => self.reject(Damage {
                    file: Some(file),
                    detail: error.to_string(),
                }),
            }
        }
        Ok(None)
    }

    /// Takes note of damage found while reading a chain; [`Self::next_chain`] avoids it.
    pub fn reject(&mut self, damage: Damage) {
        self.unusable.extend(damage.file);
        self.damage.push(damage);
    }

    /// Gives up a chain as a whole: its files were sound, but what they say was not.
    pub fn reject_chain(&mut self, chain: &Chain, detail: &str) {
        for file in &chain.files {
            self.unusable.insert(file.id);
        }
        self.damage.push(Damage {
            file: None,
            detail: detail.to_owned(),
        });
    }

    /// Ends the recovery: later checkpoints follow `chain`, or begin anew where there is none.
    /// Returns all damage found; if there was any, the next checkpoint must be a full one.
    pub fn accept(mut self, chain: Option<&Chain>) -> Vec<Damage> {
        let newest = self.files.iter().map(|file| file.id.seq).max().unwrap_or(0);
        let reached = chain.map_or(0, Chain::end);
        if reached < newest && self.damage.is_empty() && chain.is_some() {
            self.damage.push(Damage {
                file: None,
                detail: format!(
                    "{}: file {} is missing, {newest} is there",
                    self.id.folder(),
                    reached + 1
                ),
            });
        }
        let files = chain.map_or(&[][..], |chain| &chain.files);
        let sum = |kind: FileKind| {
            let of_kind = files.iter().filter(move |file| file.id.kind == kind);
            of_kind.map(|file| file.len).sum::<u64>()
        };
        let base = files.iter().find(|file| file.id.kind == FileKind::Base);
        let slot = self.store.slot(self.id);
        *slot.state.lock() = Some(ChainState {
            next_seq: newest + 1,
            base_seq: base.map_or(0, |file| file.id.seq),
            position: chain.map_or(0, Chain::position),
            base_bytes: sum(FileKind::Base),
            delta_bytes: sum(FileKind::Delta),
            deltas: files
                .iter()
                .filter(|f| f.id.kind == FileKind::Delta)
                .count() as u32,
            needs_full: reached < newest || !self.damage.is_empty(),
        });
        self.damage
    }
}
