//! What a processor does with the partitions of the events.

use crate::epochs::Epochs;
use crate::follower::Follow;
use nowcast_log::{EventLog, LogError};
use nowcast_store::{ChainId, Commit, Epoch, Loaded, Saved, StateReader, StateStore, StoreError};
use nowcast_store::{Damage, Verdict};
use std::sync::Arc;

/// What a processor does with the partitions of the events.
#[derive(Clone)]
pub enum Duty {
    /// Folds all of them from the start, and the catalogue.
    All(Epochs),
    /// Folds those it is given by [`Processor::acquire`](crate::Processor::acquire). The catalogue
    /// is kept by whoever has the first partition; here it begins with what `reader` finds of it.
    Given {
        /// The store, read without owning it.
        reader: Arc<dyn StateReader>,
    },
    /// Folds none: others do.
    Follow(Follow),
}

impl Duty {
    pub(crate) fn reader(&self) -> Option<&Arc<dyn StateReader>> {
        match self {
            Self::All(_) => None,
            Self::Given { reader } => Some(reader),
            Self::Follow(follow) => Some(&follow.reader),
        }
    }
}

/// A chain of somebody else as a fold begins with it: it can be loaded and nothing else. While the
/// log still has everything it is not even asked for: the log alone makes the same state, and items
/// get the same numbers in every process.
pub(crate) struct Borrowed {
    pub(crate) reader: Arc<dyn StateReader>,
    pub(crate) log: Arc<dyn EventLog>,
}

impl Borrowed {
    fn refusal(chain: ChainId) -> StoreError {
        let (stream, partition) = (chain.stream.name(), chain.partition.0);
        StoreError::Invalid(format!("{stream}-{partition} belongs to another process"))
    }
}

impl StateStore for Borrowed {
    fn claim(&self, chain: ChainId, _epoch: Epoch) -> Result<(), StoreError> {
        Err(Self::refusal(chain))
    }

    fn load(
        &self,
        chain: ChainId,
        _epoch: Epoch,
        judge: &mut dyn FnMut(Saved) -> Verdict,
    ) -> Result<Loaded, StoreError> {
        let away = |error: LogError| StoreError::Unavailable {
            what: "the log".to_owned(),
            detail: error.to_string(),
        };
        let bounds = self.log.bounds(chain.stream, chain.partition);
        let saved = match bounds.map_err(away)?.earliest {
            0 => None,
            _ => self.reader.whole(chain)?,
        };
        let Some(saved) = saved else {
            return Ok(Loaded {
                position: None,
                damage: Vec::new(),
            });
        };
        let position = saved.position;
        let (position, damage) = match judge(saved) {
            Verdict::Accept => (Some(position), Vec::new()),
            Verdict::Unfit(detail) => (None, vec![Damage::of_state(detail)]),
            Verdict::Discard => (None, Vec::new()),
        };
        Ok(Loaded { position, damage })
    }

    fn commit(&self, chain: ChainId, _commit: &Commit<'_>) -> Result<(), StoreError> {
        Err(Self::refusal(chain))
    }

    fn needs_full(&self, _chain: ChainId) -> bool {
        false
    }
}
