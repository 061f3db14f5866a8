//! What happens because of an answer and does not change it. To add a side effect: one new file
//! here and one line in [`registry`].
//!
//! Impressions are not recorded here: whoever knows that the answer was sent records them.

mod answer_metrics;

use crate::answer::Answer;
use crate::query::Query;

/// Runs after the answer is complete.
///
/// Contract: takes microseconds, does no IO, cannot fail.
pub trait SideEffect: Sync {
    /// The name in documentation.
    fn name(&self) -> &'static str;

    /// Whether it is wanted.
    fn is_enabled(&self, _query: &Query<'_>) -> bool {
        true
    }

    /// Looks at the answer.
    fn run(&self, query: &Query<'_>, answer: &Answer);
}

/// Every side effect, in the order in which they run.
#[must_use]
pub fn registry() -> &'static [&'static dyn SideEffect] {
    &[&answer_metrics::AnswerMetrics]
}
