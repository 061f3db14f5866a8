//! What is answered, and the account of how it came about.

use crate::ranking::Facts;
use nowcast_types::{Offset, PartitionId};
use serde::Serialize;
use std::sync::Arc;

/// A ranked list.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Best first.
    pub items: Vec<RankedItem>,
    /// The highest rung of the ladder that contributed an item.
    pub rung: Rung,
    /// The models in use.
    pub models: Arc<[ModelVersion]>,
    /// Components skipped because the deadline had passed; empty on a complete answer.
    pub late: Vec<&'static str>,
    /// Present if the request asked for it.
    pub explanation: Option<Box<Explanation>>,
    /// What the online ranker went by, in the order of `items`; present if the request asked for it.
    pub facts: Option<Box<Facts>>,
    /// What the online ranker gave each item, in the order of `items`; empty if it gave nothing or
    /// the request did not ask for facts.
    pub online_scores: Vec<f32>,
}

/// One entry of a ranked list.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedItem {
    /// The item.
    pub item_id: Arc<str>,
    /// The blended score that ordered it; 0 for static filling. Only comparable within an answer.
    pub score: f32,
    /// The first source that brought it, `request` for candidates of the caller.
    pub source: &'static str,
    /// Probability that the item took this position, given those before it (for off-policy
    /// evaluation); 1 without exploration.
    pub propensity: f32,
    /// Whether chance, not the score, put it here.
    pub is_exploration: bool,
}

/// The steps of the fallback ladder, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// From what the subject did.
    Personalized,
    /// From what the subject's segment does.
    Segment,
    /// From what everybody does.
    Trending,
    /// From a configured list or the catalogue's order.
    Static,
}

impl Rung {
    /// Every rung, best first.
    pub const ALL: [Self; 4] = [
        Self::Personalized,
        Self::Segment,
        Self::Trending,
        Self::Static,
    ];

    /// The name on the wire and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Personalized => "personalized",
            Self::Segment => "segment",
            Self::Trending => "trending",
            Self::Static => "static",
        }
    }
}

/// Which artifact of a model served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelVersion {
    /// Name of the model.
    pub name: String,
    /// Version of its artifact.
    pub version: String,
}

/// Everything that made an answer, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Next offset per partition of the event log that the state reflects.
    pub positions: Vec<Position>,
    /// Interactions of the subject that were used.
    pub history_len: usize,
    /// The segment that was used.
    pub segment: Option<String>,
    /// What each source brought.
    pub sources: Vec<SourceReport>,
    /// What filters removed, counted over distinct items.
    pub removals: Vec<Removal>,
    /// Distinct candidates that were scored.
    pub candidates: usize,
    /// How each returned item got its score, in the order of the answer.
    pub items: Vec<ItemExplanation>,
}

/// How far a partition had been folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Position {
    /// The partition.
    pub partition: u16,
    /// The next offset it will fold.
    pub offset: Offset,
}

impl Position {
    /// Builds a position.
    #[must_use]
    pub const fn new(partition: PartitionId, offset: Offset) -> Self {
        Self {
            partition: partition.0,
            offset,
        }
    }
}

/// What one source brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    /// The source.
    pub source: &'static str,
    /// Its rung of the ladder.
    pub rung: Rung,
    /// What became of it.
    pub outcome: SourceOutcome,
    /// Candidates it returned.
    pub returned: usize,
    /// Those that no source before it had brought.
    pub new: usize,
}

/// What became of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceOutcome {
    /// It ran.
    Ran,
    /// It had nothing to go by, or was not needed.
    Disabled,
    /// The deadline had passed.
    Late,
}

/// How many items a filter removed for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Removal {
    /// The filter.
    pub filter: &'static str,
    /// The reason.
    pub reason: &'static str,
    /// Distinct items.
    pub count: usize,
}

/// How one returned item got its score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ItemExplanation {
    /// The item.
    pub item_id: Arc<str>,
    /// Every source that brought it.
    pub sources: Vec<&'static str>,
    /// The sum of `weight * calibrated` over the scorers.
    pub score: f32,
    /// One entry per scorer that had something to say.
    pub parts: Vec<ScorePart>,
}

/// One scorer's share of a score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ScorePart {
    /// The scorer.
    pub scorer: &'static str,
    /// Its own value, in its own unit.
    pub raw: f32,
    /// The value as a share of the best candidate's, -1 to 1.
    pub calibrated: f32,
    /// The slot's weight.
    pub weight: f32,
}
