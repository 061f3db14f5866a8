//! Offline and prequential evaluation on published splits and real streams.
//!
//! What is evaluated is what serves: users are histories folded in at request time, never trained
//! user vectors, and lists come from the same retrieval. Each result is an [`EvaluationRow`], one
//! JSON object.

pub mod error;
pub mod input;
pub mod offline;
pub mod prequential;
mod process_usage;
pub mod report;

pub use error::EvaluationError;
pub use offline::{
    ColdItemsOptions, LightgcnOptions, OneTargetOptions, Protocol, Search, Trial,
    evaluate_cold_items, evaluate_lightgcn, evaluate_one_target, over_seeds,
};
pub use prequential::{
    PrequentialOptions, Refresh, SeenChoice, StreamColumns, evaluate_prequential,
};
pub use report::EvaluationRow;
