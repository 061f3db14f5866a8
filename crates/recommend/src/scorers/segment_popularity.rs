//! How popular the candidate is in the subject's segment: `ln(1 + popularity)`.

use super::Scorer;
use crate::answer::Rung;
use crate::candidate::Candidate;
use crate::query::Query;

/// Damped popularity among the users of the segment.
pub(super) struct SegmentPopularityScorer;

impl Scorer for SegmentPopularityScorer {
    fn name(&self) -> &'static str {
        "segment_popularity"
    }

    fn rung(&self) -> Rung {
        Rung::Segment
    }

    fn is_enabled(&self, query: &Query<'_>) -> bool {
        query.segment_list().is_some()
    }

    fn score(&self, query: &Query<'_>, _candidates: &[Candidate], out: &mut [f32]) {
        for (item, popularity) in query.segment_list().unwrap_or(&[]) {
            if let Some(at) = query.candidate(*item) {
                out[at] = popularity.max(0.0).ln_1p();
            }
        }
    }
}
