//! What the worker drives: something that folds one partition of one stream.
//!
//! The worker owns time, IO and threads; a fold owns state and knows neither. All methods are
//! called from the worker's one thread.

use crate::error::StreamError;
use nowcast_store::Saved;
use nowcast_types::{Offset, Record, Timestamp};

/// State that is a function of one partition's log.
pub(crate) trait Fold: Send + 'static {
    /// Replaces the state by a saved one. After an error the state is anything; the worker restores
    /// another one or resets.
    fn restore(&mut self, saved: Saved) -> Result<(), RestoreError>;

    /// Forgets everything: the state before the first record.
    fn reset(&mut self);

    /// After a reset: takes the log's first record to be at `offset`, because earlier ones are gone.
    fn skip_to(&mut self, offset: Offset);

    /// The next offset to fold.
    fn position(&self) -> Offset;

    /// Folds records in order and shows the result to readers.
    fn apply(&mut self, records: &[(Offset, Record<'_>)]) -> Result<(), StreamError>;

    /// What changed since the last call of this or [`Fold::encode_full`].
    fn encode_delta(&mut self) -> Vec<u8>;

    /// The whole state, as blobs in order.
    fn encode_full(&mut self) -> Vec<Vec<u8>>;

    /// Called before a checkpoint is written: outputs that its position covers must be durable.
    /// After an error there is no checkpoint, and outputs are kept to be tried again.
    fn settle(&mut self) -> Result<(), StreamError>;
}

/// Why what was saved did not become a state.
#[derive(Debug)]
pub(crate) enum RestoreError {
    /// Its bytes are sound, but together they say nothing usable.
    Unfit(String),
    /// It was folded under another configuration: rebuild from the log.
    PlanChanged(String),
}

/// When the edge received the oldest of `records`, for the latency from event to answer.
pub(crate) fn oldest_receipt(records: &[(Offset, Record<'_>)]) -> Option<Timestamp> {
    records.iter().find_map(|(_, record)| match record {
        Record::Event(event) => Some(event.received_at),
        _ => None,
    })
}
