//! The processor: log to fold to store, each event once.
//!
//! [`Processor`] folds every partition of the log in a thread of its own, keeps the state in
//! memory for serving, and writes checkpoints of state and position together, so that a restart
//! continues where the last durable checkpoint stands and counts nothing twice. [`replay()`] is the
//! same fold without any of that, for comparison.
//!
//! It is not a stream processing framework: no operators, no windows of its own, no exchange
//! between partitions. What is computed is `nowcast-features`; here is only when and where.

mod catalog_fold;
mod checkpointer;
pub mod config;
pub mod epochs;
pub mod error;
mod fold;
pub mod partition;
pub mod processor;
pub mod progress;
pub mod reads;
pub mod replay;
mod restore;
mod stall;
pub mod trending;
mod worker;

pub use config::StreamConfig;
pub use epochs::Epochs;
pub use error::StreamError;
pub use partition::PartitionView;
pub use processor::{Processor, ProcessorDeps};
pub use progress::{Phase, Readiness};
pub use reads::{Feature, FeatureEntity};
pub use replay::{Replayed, replay, replay_partition};
pub use trending::{RankedItems, TrendingTables};
