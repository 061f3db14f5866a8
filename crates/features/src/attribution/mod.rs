//! The joiner: matches what was shown with what came of it, and labels examples.
//!
//! A slate stays pending from the moment it is shown. An outcome within the attribution window
//! labels its item at once; when the watermark passes the end of the window, what did not come true
//! is labelled so; an outcome that belongs into the window and arrives behind that corrects the
//! label. Then the slate is forgotten: nothing that is not late can refer to it any more.
//!
//! All of this is part of the fold: pending slates are in the same state, under the same position
//! and in the same checkpoints as everything else, so a record labels the same examples whenever it
//! is folded, and their origins tell one telling from another.
//!
//! It does not learn, and it does not look into facts.

mod example;
mod joiner;
mod plan;
mod rows;

pub use example::OwnedExample;
pub use joiner::Labelled;
pub(crate) use joiner::{Joiner, LABELLED, OutcomeEvent, PendingSlate};
pub(crate) use plan::AttributionPlan;
