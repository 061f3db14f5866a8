//! The whole product as a value: log, fold, catalogue, models, pipeline.

pub mod error;
pub mod ingest;
pub mod pseudonym;
pub mod records;

pub use error::EngineError;
