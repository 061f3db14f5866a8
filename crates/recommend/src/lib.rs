//! The candidate pipeline: sources, filters, scorers, selectors, ladder.
//!
//! One request goes through ordered stages, each a folder of small components behind one trait:
//! sources bring candidates, filters judge them, hydrators attach what scorers read, scorers say
//! how good each is, a selector picks, side effects count. The executor wraps every call with
//! timing, counts, deadline and contract checks, so that a component is only its own idea.
//!
//! Everything is synchronous and uses the CPU alone; the present is an argument. It is not here to
//! fold events (`stream` does), to train (`training`), or to know about HTTP (`server`).

mod answer;
mod config;
mod error;
mod filter_expression;
mod request;

pub use answer::{
    Answer, Explanation, ItemExplanation, ModelVersion, Position, RankedItem, Removal, Rung,
    ScorePart, SourceOutcome, SourceReport,
};
pub use config::{DiversityConfig, RecommendConfig, SeenPolicy, SlotConfig};
pub use error::RecommendError;
pub use filter_expression::ExpressionError;
pub use request::{
    HistoryInput, Request, SimilarRequest, Subject, TrendingRequest, TrendingScope,
};
