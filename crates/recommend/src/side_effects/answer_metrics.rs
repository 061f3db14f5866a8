//! Counts answers per rung and how long they are.

use super::SideEffect;
use crate::answer::Answer;
use crate::query::Query;

/// Counts what was answered.
pub(super) struct AnswerMetrics;

impl SideEffect for AnswerMetrics {
    fn name(&self) -> &'static str {
        "answer_metrics"
    }

    fn run(&self, query: &Query<'_>, answer: &Answer) {
        query.telemetry.answered(answer);
    }
}
