//! An example on its way out of the fold.

use nowcast_types::{LabelledExample, Offset, Origin, PartitionId, Timestamp};

/// A labelled example that owns what it holds; see [`LabelledExample`].
#[derive(Debug, Clone, PartialEq)]
pub struct OwnedExample {
    /// The record whose fold made it known.
    pub offset: Offset,
    /// Its number among the examples of that record.
    pub index: u32,
    /// When it was shown.
    pub at: Timestamp,
    /// The offset of its slate.
    pub slate: Offset,
    /// Its place in the slate.
    pub place: u16,
    /// Where it was shown.
    pub slot: Box<str>,
    /// What is known of each objective.
    pub labels: String,
    /// The score it was shown with.
    pub score: f32,
    /// What all items of the slate shared.
    pub situation: Box<[u8]>,
    /// What the score went by.
    pub facts: Box<[u8]>,
}

impl OwnedExample {
    /// The record that goes to the stream of examples.
    #[must_use]
    pub fn record(&self, partition: PartitionId) -> LabelledExample<'_> {
        LabelledExample {
            origin: Origin {
                partition: partition.0,
                offset: self.offset,
                index: self.index,
            },
            at: self.at,
            slate: self.slate,
            place: self.place,
            slot: &self.slot,
            labels: &self.labels,
            score: self.score,
            situation: &self.situation,
            facts: &self.facts,
        }
    }
}
