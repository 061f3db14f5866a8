//! The whole product as a value: log, fold, catalogue, models, pipeline.
//!
//! An [`Engine`] is opened on a data folder, takes events, items and users in, and answers. It is
//! where raw ids end: callers speak in their own ids, everything below knows pseudonyms.
//!
//! # It is not
//! A server (no wire shapes, no sockets), a place for algorithms (`models`, `recommend`) or for
//! rules of the fold (`features`).

pub mod backends;
pub mod background;
pub mod calls;
pub mod config;
pub mod dead_letter;
pub mod engine;
pub mod error;
pub mod impressions;
pub mod ingest;
pub mod learning;
pub mod meters;
pub mod models;
pub mod profile;
pub mod pseudonym;
pub mod records;
pub mod seal;
mod serving;
pub mod slot_tally;
pub mod status;
mod writes;

pub use backends::{Backends, Embedded, Opened, Opening};
pub use calls::{CallSubject, ErasureReceipt, ListCall, ListSubject, RecommendCall, Stored};
pub use config::{EngineConfig, EventsConfig, ServingConfig};
pub use dead_letter::{Letter, LetterBody, LetterKind, LetterSource, Original};
pub use engine::{Engine, Surroundings, SystemClock};
pub use error::EngineError;
pub use ingest::{
    Arrival, ArrivalClock, ConsentDraft, EventDraft, EventFate, IngestOutcome, Text, When,
};
pub use learning::{LearningStatus, OnlineRankingConfig};
pub use profile::{FeatureCall, FeatureReport, Profile};
pub use seal::Sealer;
pub use status::Status;
pub use writes::ItemsOutcome;

pub use nowcast_recommend::{Answer, Explanation, HistoryInput, Rung, TrendingScope};
pub use nowcast_stream::Readiness;
