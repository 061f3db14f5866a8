//! The chains of files as a [`StateStore`].
//!
//! Epochs live in memory: another process cannot own the folder, because of its lock, so fencing
//! concerns owners within this one.

use super::file::FileKind;
use super::{Chain, ChainId, ChainState, CheckpointStore, Compacted, Damage, Recovery};
use crate::error::StoreError;
use crate::state::{Commit, Content, Epoch, Loaded, Saved, StateStore, Verdict};
use nowcast_types::ErrorKind;

/// Who appends and to what; checked under the chain's lock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket<'a>(&'a Commit<'a>);

impl Ticket<'_> {
    /// Refuses a commit of a dismissed owner, and one that does not follow what is stored.
    pub(super) fn check(
        self,
        chain: ChainId,
        owner: Epoch,
        state: &ChainState,
    ) -> Result<(), StoreError> {
        let commit = self.0;
        if commit.epoch < owner {
            return Err(StoreError::Fenced {
                chain,
                epoch: commit.epoch,
                owner,
            });
        }
        let stored = (state.position > 0).then_some(state.position);
        let follows = commit.follows.filter(|position| *position > 0);
        let is_delta = matches!(commit.content, Content::Delta(_));
        let is_behind = is_delta && commit.position <= state.position;
        if commit.epoch > owner || (is_delta && !state.needs_full && follows != stored) || is_behind
        {
            return Err(StoreError::Stale {
                chain,
                follows: commit.follows,
                position: commit.position,
                stored,
            });
        }
        Ok(())
    }
}

impl StateStore for CheckpointStore {
    fn claim(&self, chain: ChainId, epoch: Epoch) -> Result<(), StoreError> {
        let slot = self.slot(chain);
        let _no_append = slot.state.lock();
        let mut owner = slot.owner.lock();
        if epoch < *owner {
            return Err(StoreError::Fenced {
                chain,
                epoch,
                owner: *owner,
            });
        }
        *owner = epoch;
        Ok(())
    }

    fn load(
        &self,
        chain: ChainId,
        epoch: Epoch,
        judge: &mut dyn FnMut(Saved) -> Verdict,
    ) -> Result<Loaded, StoreError> {
        self.claim(chain, epoch)?;
        let mut recovery = self.recovery(chain)?;
        let accepted = choose(&mut recovery, judge)?;
        Ok(Loaded {
            position: accepted.as_ref().map(Chain::position),
            damage: recovery.accept(accepted.as_ref()),
        })
    }

    fn commit(&self, chain: ChainId, commit: &Commit<'_>) -> Result<(), StoreError> {
        let ticket = Some(Ticket(commit));
        match commit.content {
            Content::Delta(blob) => {
                self.append(chain, commit.position, FileKind::Delta, &[blob], ticket)
            }
            Content::Full(blobs) => {
                self.append(chain, commit.position, FileKind::Base, blobs, ticket)?;
                if let Err(error) = self.remove_superseded(chain) {
                    // The commit is durable; the files go with those of the next base.
                    tracing::warn!(%error, "superseded checkpoints were not removed");
                }
                Ok(())
            }
        }
    }

    fn needs_full(&self, chain: ChainId) -> bool {
        Self::needs_full(self, chain)
    }

    fn wants_compaction(&self, chain: ChainId) -> bool {
        Self::wants_compaction(self, chain)
    }

    fn compact(&self, chain: ChainId) -> Result<Option<Compacted>, StoreError> {
        Self::compact(self, chain)
    }
}

/// Tries chains until one becomes a state; what was wrong with the others stays in the recovery.
fn choose(
    recovery: &mut Recovery<'_>,
    judge: &mut dyn FnMut(Saved) -> Verdict,
) -> Result<Option<Chain>, StoreError> {
    while let Some(chain) = recovery.next_chain()? {
        let blobs = match read_blobs(&chain) {
            Ok(blobs) => blobs,
            Err(ReadError::Damaged(damage)) => {
                recovery.reject(damage);
                continue;
            }
            Err(ReadError::Failed(error)) => return Err(error),
        };
        let position = chain.position();
        match judge(Saved { position, blobs }) {
            Verdict::Accept => return Ok(Some(chain)),
            Verdict::Unfit(detail) => recovery.reject_chain(&chain, &detail),
            Verdict::Discard => return Ok(None),
        }
    }
    Ok(None)
}

enum ReadError {
    Damaged(Damage),
    Failed(StoreError),
}

/// Reads all blobs of a chain, or says which file is damaged.
fn read_blobs(chain: &Chain) -> Result<Vec<Vec<u8>>, ReadError> {
    let mut blobs = chain.blobs();
    let mut read = Vec::new();
    while let Some(blob) = blobs.next() {
        match (blob, blobs.damage()) {
            (Ok(blob), _) => read.push(blob),
            (Err(error), Some(damage)) if error.kind() == ErrorKind::Corrupt => {
                return Err(ReadError::Damaged(damage.clone()));
            }
            (Err(error), _) => return Err(ReadError::Failed(error)),
        }
    }
    Ok(read)
}
