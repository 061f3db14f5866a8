//! What is attached to candidates for scorers and selectors to read. To add a hydrator: one new
//! file here and one line in [`registry`].

mod item_row;
mod popularity;

use crate::candidate::Candidate;
use crate::query::Query;

/// Fills fields of candidates.
///
/// Contract: fills only the fields that its documentation names, leaves number and order of the
/// candidates as they are, and leaves a field at its default where it knows nothing.
pub trait Hydrator: Sync {
    /// The name in metrics.
    fn name(&self) -> &'static str;

    /// Whether there is anything to attach.
    fn is_enabled(&self, _query: &Query<'_>) -> bool {
        true
    }

    /// Fills the fields.
    fn hydrate(&self, query: &Query<'_>, candidates: &mut [Candidate]);
}

/// Every hydrator, in the order in which they run.
#[must_use]
pub fn registry() -> &'static [&'static dyn Hydrator] {
    &[&item_row::ItemRowHydrator, &popularity::PopularityHydrator]
}
