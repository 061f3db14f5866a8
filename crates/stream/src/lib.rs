//! The processor: log to fold to store, each event once.
//!
//! [`Processor`] folds every partition of the log in a thread of its own, keeps the state in
//! memory for serving, and writes checkpoints of state and position together, so that a restart
//! continues where the last durable checkpoint stands and counts nothing twice. [`replay()`] is the
//! same fold without any of that, for comparison.
//!
//! Where partitions are shared by processes, a processor folds those it is given ([`Duty`]), tells
//! others of its commits ([`PublishingStore`]), and those who serve follow ([`Follow`]).
//!
//! It is not a stream processing framework: no operators, no windows of its own, no exchange
//! between partitions. What is computed is `nowcast-features`; here is only when and where.

mod catalog_fold;
mod checkpointer;
pub mod config;
mod delta;
mod duty;
pub mod epochs;
pub mod error;
mod fold;
mod follower;
mod outbox;
mod owning;
pub mod partition;
pub mod processor;
pub mod progress;
mod publishing;
pub mod reads;
pub mod replay;
mod restore;
mod stall;
pub mod trending;
mod worker;

pub use config::StreamConfig;
pub use duty::Duty;
pub use epochs::Epochs;
pub use error::StreamError;
pub use follower::Follow;
pub use owning::Holding;
pub use partition::PartitionView;
pub use processor::{Processor, ProcessorDeps, StoredUser};
pub use progress::{Phase, Readiness};
pub use publishing::PublishingStore;
pub use reads::{Feature, FeatureEntity};
pub use replay::{Replayed, replay, replay_partition, replay_partition_to};
pub use trending::{RankedItems, TrendingTables};
