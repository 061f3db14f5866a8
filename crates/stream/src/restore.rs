//! Choosing the state to start from, and refusing to start quietly from a wrong one.
//!
//! The log is the truth: a checkpoint that reflects more than the log has means that the log lost
//! acknowledged records, and one that reflects less than the log still begins with means a hole.
//! Both are errors for a person. Damage that the log can make good is repaired and reported.

use crate::error::StreamError;
use crate::fold::{Fold, RestoreError};
use crate::progress::Phase;
use crate::stall::Stall;
use crate::worker::Worker;
use nowcast_log::Bounds;
use nowcast_store::Verdict;
use nowcast_types::Offset;

/// Where the state came from.
enum Origin {
    Saved(Offset),
    /// No state was ever saved, or none is usable.
    Nothing,
    /// The configuration of the fold has changed, so that nothing saved means anything.
    PlanChanged,
}

impl<F: Fold> Worker<F> {
    /// Restores, and tries again while the log or the store is away; false if it was told to stop
    /// meanwhile.
    pub(crate) fn restore_patiently(&mut self) -> Result<bool, StreamError> {
        loop {
            match self.restore() {
                Err(error) if Stall::is_away(&error) => {
                    let pause = self.stall.begin(&error, &self.progress);
                    if !self.pause(pause) {
                        return Ok(false);
                    }
                }
                outcome => {
                    self.stall.end(&self.progress);
                    return outcome.map(|()| true);
                }
            }
        }
    }

    /// Brings the fold to the newest sound state and publishes its position. Called again when the
    /// store turns out to have lost commits.
    fn restore(&mut self) -> Result<(), StreamError> {
        let (stream, partition) = (self.chain.stream, self.chain.partition);
        let bounds = self.around.log.bounds(stream, partition)?;
        self.live_from = bounds.end;
        self.progress.set_bounds(bounds);
        let origin = self.load()?;
        let position = match origin {
            Origin::Saved(position) => position,
            Origin::Nothing | Origin::PlanChanged => 0,
        };
        self.check_position(&origin, position, bounds)?;
        if matches!(origin, Origin::Saved(_)) {
            self.committed = Some(position);
        } else {
            self.committed = None;
            self.fold.reset();
            self.fold.skip_to(bounds.earliest);
        }
        let position = self.fold.position();
        self.progress.set_durable(position);
        self.progress.set_applied(position);
        if let Origin::Saved(_) = origin {
            self.around.log.protect(stream, partition, position)?;
        }
        self.progress.set_phase(Phase::Replaying);
        Ok(())
    }

    /// Tries saved states until the fold takes one; reports what was wrong with the others.
    fn load(&mut self) -> Result<Origin, StreamError> {
        let (chain, fold) = (self.chain, &mut self.fold);
        let mut has_changed = false;
        let mut judge = |saved| match fold.restore(saved) {
            Ok(()) => Verdict::Accept,
            Err(RestoreError::Unfit(detail)) => Verdict::Unfit(detail),
            Err(RestoreError::PlanChanged(detail)) => {
                let (stream, partition) = (chain.stream.name(), chain.partition.0);
                tracing::warn!(
                    stream,
                    partition,
                    detail,
                    "rebuilding a partition from the log"
                );
                has_changed = true;
                Verdict::Discard
            }
        };
        let loaded = self
            .around
            .store
            .load(chain, self.around.epochs.of(chain), &mut judge)?;
        for damage in loaded.damage {
            metrics::counter!("nowcast_checkpoint_damage_total").increment(1);
            tracing::error!(damage = damage.detail, "a damaged checkpoint was left out");
        }
        Ok(match loaded.position {
            Some(position) => Origin::Saved(position),
            None if has_changed => Origin::PlanChanged,
            None => Origin::Nothing,
        })
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
