//! Choosing the state to start from, and refusing to start quietly from a wrong one.
//!
//! The log is the truth: a checkpoint that reflects more than the log has means that the log lost
//! acknowledged records, and one that reflects less than the log still begins with means a hole.
//! Both are errors for a person. Damage that the log can make good is repaired and reported.

use crate::error::StreamError;
use crate::fold::{Fold, RestoreError};
use crate::progress::Phase;
use crate::worker::Worker;
use nowcast_log::Bounds;
use nowcast_store::Chain;

/// Where the state came from.
enum Origin {
    Checkpoint(Chain),
    /// No checkpoint was ever written, or none is usable.
    Nothing,
    /// The configuration of the fold has changed, so that no checkpoint means anything.
    PlanChanged,
}

impl<F: Fold> Worker<F> {
    /// Brings the fold to the newest sound state and publishes its position.
    pub(crate) fn restore(&mut self) -> Result<(), StreamError> {
        let (stream, partition) = (self.chain.stream, self.chain.partition);
        let bounds = self.around.log.bounds(stream, partition)?;
        self.live_from = bounds.end;
        let origin = self.load()?;
        let position = match &origin {
            Origin::Checkpoint(chain) => chain.position(),
            Origin::Nothing | Origin::PlanChanged => 0,
        };
        self.check_position(&origin, position, bounds)?;
        if !matches!(origin, Origin::Checkpoint(_)) {
            self.fold.reset();
            self.fold.skip_to(bounds.earliest);
        }
        let position = self.fold.position();
        self.progress.set_durable(position);
        self.progress.set_applied(position);
        if let Origin::Checkpoint(_) = origin {
            self.around.log.protect(stream, partition, position)?;
        }
        self.progress.set_phase(Phase::Replaying);
        Ok(())
    }

    /// Tries chains until one becomes a state; reports what was wrong with the others.
    fn load(&mut self) -> Result<Origin, StreamError> {
        let store = self.around.store.clone();
        let mut recovery = store.recovery(self.chain)?;
        let mut origin = Origin::Nothing;
        while let Some(chain) = recovery.next_chain()? {
            match self.fold.restore(&chain) {
                Ok(()) => {
                    origin = Origin::Checkpoint(chain);
                    break;
                }
                Err(RestoreError::Damaged(damage)) => recovery.reject(damage),
                Err(RestoreError::Unfit(detail)) => recovery.reject_chain(&chain, &detail),
                Err(RestoreError::PlanChanged(detail)) => {
                    let (stream, partition) = (self.chain.stream.name(), self.chain.partition.0);
                    tracing::warn!(
                        stream,
                        partition,
                        detail,
                        "rebuilding a partition from the log"
                    );
                    origin = Origin::PlanChanged;
                    break;
                }
                Err(RestoreError::Failed(error)) => return Err(error),
            }
        }
        let accepted = match &origin {
            Origin::Checkpoint(chain) => Some(chain),
            Origin::Nothing | Origin::PlanChanged => None,
        };
        for damage in recovery.accept(accepted) {
            metrics::counter!("nowcast_checkpoint_damage_total").increment(1);
            tracing::error!(damage = damage.detail, "a damaged checkpoint was left out");
        }
        Ok(origin)
    }

    fn check_position(
        &self,
        origin: &Origin,
        position: u64,
        bounds: Bounds,
    ) -> Result<(), StreamError> {
        let chain = self.chain;
        if position > bounds.end {
            let end = bounds.end;
            return Err(StreamError::AheadOfLog {
                chain,
                position,
                end,
            });
        }
        if position >= bounds.earliest {
            return Ok(());
        }
        let earliest = bounds.earliest;
        if matches!(origin, Origin::PlanChanged) {
            // The operator asked for another fold; what retention removed cannot be folded anew.
            let (stream, partition) = (chain.stream.name(), chain.partition.0);
            tracing::warn!(
                stream,
                partition,
                earliest,
                "the rebuilt state begins later: the log no longer has the records before"
            );
            return Ok(());
        }
        Err(StreamError::BehindLog {
            chain,
            position,
            earliest,
        })
    }
}
