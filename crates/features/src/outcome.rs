//! What became of each record, and the sums of that.
//!
//! Nothing is dropped silently: `received = applied + duplicate + late + suppressed + skipped`
//! holds after every record, and each record adds exactly one to one of the right-hand sides.

use nowcast_types::Offset;

/// What became of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It changed the state it should change.
    Applied,
    /// Its id had been seen within the dedup horizon; nothing changed.
    Duplicate,
    /// Its time lies behind the watermark by more than the lateness; nothing changed. The caller
    /// copies the event to the late stream.
    Late,
    /// The user does not allow personalization: no profile changed. Item counters did, if training
    /// is allowed.
    Suppressed,
    /// The fold has no use for it.
    Skipped(SkipReason),
}

/// Why the fold had no use for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// The offset is below the position: folded before. Not counted again.
    AlreadyFolded,
    /// The event's type is not configured (any more).
    UnknownEventType,
    /// The record belongs to another stream.
    WrongStream,
    /// The log's bytes did not decode to a record.
    Undecodable,
    /// What was shown is not asked for: attribution is switched off.
    NotInUse,
}

/// How many records met which end, since offset 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// All records.
    pub received: u64,
    /// Those that changed state.
    pub applied: u64,
    /// Those whose id was known.
    pub duplicate: u64,
    /// Those behind the lateness.
    pub late: u64,
    /// Those without consent to personalize.
    pub suppressed: u64,
    /// Those of no use.
    pub skipped: u64,
    /// Of the applied and suppressed: events that item counters ignored for want of consent.
    pub untrained: u64,
    /// Users erased on request.
    pub users_erased: u64,
    /// Users evicted to keep the byte budget.
    pub users_evicted: u64,
    /// Items whose counters were released to keep the byte budget.
    pub items_released: u64,
    /// Times the dedup memory forgot early because it was full.
    pub dedup_forgotten_early: u64,
}

/// Number of counters, for the checkpoint.
pub(crate) const COUNTERS: usize = 11;

impl Counters {
    /// Adds one record's end.
    pub(crate) const fn count(&mut self, outcome: Outcome) {
        self.received += 1;
        match outcome {
            Outcome::Applied => self.applied += 1,
            Outcome::Duplicate => self.duplicate += 1,
            Outcome::Late => self.late += 1,
            Outcome::Suppressed => self.suppressed += 1,
            Outcome::Skipped(_) => self.skipped += 1,
        }
    }

    /// Whether the books balance.
    #[must_use]
    pub const fn is_balanced(&self) -> bool {
        self.received == self.applied + self.duplicate + self.late + self.suppressed + self.skipped
    }

    /// The counters with their names, in a fixed order.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, u64); COUNTERS] {
        [
            ("received", self.received),
            ("applied", self.applied),
            ("duplicate", self.duplicate),
            ("late", self.late),
            ("suppressed", self.suppressed),
            ("skipped", self.skipped),
            ("untrained", self.untrained),
            ("users_erased", self.users_erased),
            ("users_evicted", self.users_evicted),
            ("items_released", self.items_released),
            ("dedup_forgotten_early", self.dedup_forgotten_early),
        ]
    }

    pub(crate) const fn from_array(values: [u64; COUNTERS]) -> Self {
        Self {
            received: values[0],
            applied: values[1],
            duplicate: values[2],
            late: values[3],
            suppressed: values[4],
            skipped: values[5],
            untrained: values[6],
            users_erased: values[7],
            users_evicted: values[8],
            items_released: values[9],
            dedup_forgotten_early: values[10],
        }
    }
}

/// Where a fold stands in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// The next offset to fold.
    pub(crate) position: Offset,
    pub(crate) counters: Counters,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_keeps_the_books_balanced() {
        let mut counters = Counters::default();
        for outcome in [
            Outcome::Applied,
            Outcome::Duplicate,
            Outcome::Late,
            Outcome::Suppressed,
            Outcome::Skipped(SkipReason::WrongStream),
        ] {
            counters.count(outcome);
            assert!(counters.is_balanced());
        }
        assert_eq!(counters.received, 5);
    }

    #[test]
    fn the_array_form_round_trips() {
        let counters = Counters {
            received: 1,
            dedup_forgotten_early: 9,
            late: 4,
            ..Counters::default()
        };
        assert_eq!(
            Counters::from_array(counters.named().map(|(_, n)| n)),
            counters
        );
    }
}
