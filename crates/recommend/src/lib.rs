//! The candidate pipeline: sources, filters, scorers, selectors, ladder.
//!
//! One request goes through ordered stages, each a folder of small components behind one trait:
//! sources bring candidates, filters judge them, hydrators attach what scorers read, scorers say
//! how good each is, selectors shape the list, side effects count. The executor wraps every call
//! with timing, counts, deadline and contract checks, so that a component is only its own idea.
//!
//! ```text
//! request -> Query: history, segment, models folded in, popularity tables
//!         -> sources (ask the filters while they retrieve) -> candidates, each once
//!         -> hydrators -> scorers -> blend -> selectors -> answer -> side effects
//! ```
//!
//! Everything is synchronous and uses the CPU alone; the present is an argument. It is not here to
//! fold events (`stream` does), to train (`training`), to record impressions (`engine`), or to know
//! about HTTP (`server`).

mod answer;
pub mod candidate;
mod config;
mod error;
mod explain;
mod filter_expression;
pub mod filters;
pub mod hydrators;
mod live;
mod marks;
mod model_set;
mod newcomers;
mod pipeline;
mod processor_live;
mod query;
pub mod ranking;
mod recommender;
mod request;
pub mod scorers;
pub mod selectors;
pub mod side_effects;
mod slot;
pub mod sources;
mod telemetry;

pub use answer::{
    Answer, Explanation, ItemExplanation, ModelVersion, Position, RankedItem, Removal, Rung,
    ScorePart, SourceOutcome, SourceReport,
};
pub use config::{DiversityConfig, RecommendConfig, SeenPolicy, SlotConfig};
pub use error::RecommendError;
pub use filter_expression::ExpressionError;
pub use live::{Live, Profile, Touch, Trending};
pub use model_set::{LiveContent, LoadedModel, ModelSet};
pub use processor_live::ProcessorLive;
pub use query::{ContentEvidence, Query, Touched};
pub use recommender::{Deps, Recommender};
pub use request::{HistoryInput, Request, SimilarRequest, Subject, TrendingRequest, TrendingScope};
