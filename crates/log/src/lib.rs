//! The event log: the one place where something that happened becomes durable.
//!
//! - [`EventLog`] is the trait: append, read, bounds, per partition of a [`Stream`].
//! - [`EmbeddedLog`] keeps partitions in recycled, already written segment files. One thread per
//!   partition gathers appends while the disk is busy and makes each group durable with a single
//!   `fdatasync` before anyone is told that it worked.
//! - [`MemoryLog`] is the same contract in memory, for tests and for replays that need no disk.
//! - [`conformance`] is what every implementation must do, as checks to run over it.
//! - [`codec`] is the binary form of a [`Record`](nowcast_types::Record), borrowed when read.
//!
//! # It is not
//! A broker: no network, no consumer groups (a reader keeps its own position), no compaction by
//! key, no transactions over partitions. A failed sync is never retried: the partition stops.
//!
//! # Limits
//! A batch holds at most [`BATCH_BYTES_MAX`] bytes of encoded records.
//!
//! [`Stream`]: nowcast_types::Stream

pub mod ack;
pub mod batch;
pub mod change_feed;
pub mod codec;
pub mod config;
pub mod conformance;
pub mod embedded;
pub mod error;
pub mod event_log;
pub mod memory;

pub use ack::{AppendAck, AppendPromise};
pub use batch::{BATCH_BYTES_MAX, LENGTH_BYTES, RecordBatch, StoredBatch};
pub use change_feed::ChangeFeed;
pub use codec::{decode, encode};
pub use config::LogConfig;
pub use embedded::{EmbeddedLog, PartitionStats, Verified};
pub use error::LogError;
pub use event_log::{Bounds, EventLog, starts_protected};
pub use memory::MemoryLog;
