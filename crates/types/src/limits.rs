//! What the edge accepts at most. Every limit is a key of the configuration.

use crate::units::{ByteSize, Span};
use serde::Deserialize;

/// Bounds on what clients send.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Longest id of any kind, in bytes of UTF-8.
    pub id_bytes_max: usize,
    /// Largest request body, after decompression.
    pub body_bytes_max: ByteSize,
    /// Most events in one request.
    pub batch_events_max: usize,
    /// Deepest nesting of JSON in properties and attributes.
    pub nesting_max: usize,
    /// Largest `properties` object of an event, as JSON text.
    pub properties_bytes_max: ByteSize,
    /// Most categories kept of one item.
    pub categories_max: usize,
    /// How far ahead of our clock an event may claim to be.
    pub clock_ahead_max: Span,
    /// How old an event may be when it arrives; older ones are dead letters.
    pub event_age_max: Span,
}
