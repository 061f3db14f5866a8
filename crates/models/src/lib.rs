//! Algorithms as pure code: a history goes in, scores come out; training; ranking metrics.
//!
//! A model holds *item-side parameters only*. The user is computed from the history when a request
//! arrives ([`Model::prepare`]), so a click counts at once and nothing per user is ever trained.
//! To add a model: one new file that implements [`Model`] and [`Trainer`], one line in
//! [`trainer::registry`].
//!
//! # It is not
//! - a place that reads a clock, a file, a log or the catalogue: data arrive as [`Interactions`];
//! - aware of the process-wide item numbering: items are dense `u32` of *this model*, and
//!   [`Model::items`] says which ids they stand for.

pub mod artifact;
pub mod blend;
pub mod content;
pub mod covisit;
pub mod ease;
pub mod error;
pub mod graph;
pub mod ials;
pub mod interactions;
pub mod item_ids;
mod item_item;
pub mod item_knn;
pub mod kernels;
pub mod metrics;
pub mod model;
pub mod occurrences;
pub mod online;
pub mod params;
pub mod popular;
mod search_range;
pub mod seeded;
pub mod sequence;
pub mod session_knn;
pub mod slot_outcomes;
mod sparse;
pub mod top_k;
pub mod trainer;
pub mod transitions;
pub mod vector_index;
mod weight_scale;

pub use artifact::decode;
pub use content::{ContentIndex, ContentMap, ItemContent};
pub use error::ModelError;
pub use interactions::{Interactions, InteractionsBuilder, Sequence, Transposed};
pub use item_ids::ItemIds;
pub use metrics::Metric;
pub use model::{
    Admit, AdmitByUser, HistoryItem, Model, ModelQuery, Prepared, PreparedPart, Scored,
};
pub use occurrences::Occurrence;
pub use params::{ParamDef, Params, ResolvedParams};
pub use search_range::{Scale, SearchRange};
pub use slot_outcomes::{SlotOutcome, SlotOutcomes};
pub use trainer::{Progress, Trainer, registry, trainer};
