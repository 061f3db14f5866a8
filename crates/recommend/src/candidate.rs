//! A candidate: an item on its way through the stages. Small and flat, because a request has a
//! thousand of them; which fields are filled by whom is said at each.

use nowcast_store::{ItemIdx, LabelIdx};

/// An item that may end up in the answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The item; `None` only for a candidate of the caller that the catalogue does not know.
    pub item: Option<ItemIdx>,
    /// Place in the caller's list from 0, or order of arrival from sources.
    pub position: u32,
    /// Bit set of the sources that brought it, by their place in the registry.
    pub sources: u32,
    /// Leading category. Filled by the item row hydrator.
    pub category: Option<LabelIdx>,
    /// Milliseconds since publication. Filled by the item row hydrator.
    pub age_ms: Option<i64>,
    /// Popularity of late, 0 for none. Filled by the popularity hydrator.
    pub trending: f32,
    /// Popularity in the long run, 0 for none. Filled by the popularity hydrator.
    pub popularity: f32,
    /// Smoothed click-through rate, 0 for unknown. Filled by the popularity hydrator.
    pub ctr: f32,
}

impl Candidate {
    /// A candidate that no hydrator has seen.
    #[must_use]
    pub const fn new(item: Option<ItemIdx>, position: u32, sources: u32) -> Self {
        Self {
            item,
            position,
            sources,
            category: None,
            age_ms: None,
            trending: 0.0,
            popularity: 0.0,
            ctr: 0.0,
        }
    }
}
