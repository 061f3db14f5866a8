//! The event log on Apache Kafka: the same promises as in one process, kept by brokers.
//!
//! - [`KafkaLog`] is an [`EventLog`](nowcast_log::EventLog): one message per record, an idempotent
//!   producer with `acks=all`, and acknowledgements that are delivery reports.
//! - [`Ownership`] shares the event partitions among processes: a consumer group says who may
//!   have a partition, and an [`Epoch`] from the log says who came last.
//! - [`ForeignReader`] reads topics that other programs write, for an intake.
//! - [`Topic`] names what is kept on the brokers; [`KafkaConfig`] says how.
//!
//! # It is not
//! Transactional: nothing here rests on Kafka transactions. Positions live in whoever folds the
//! log, and what the broker is told of them ([`Ownership::commit_for_tools`]) is for lag tools.
//! An append that failed may be in the log all the same, record by record; repeating it may store
//! it twice, and event ids tell.
//!
//! # Limits
//! Retention is the brokers' and knows no checkpoints: protection holds back our own truncation
//! only. Topics are written by us alone; what others put there is reported record by record.

mod channel;
mod client;
pub mod config;
pub mod delivery;
mod error;
pub mod foreign;
pub mod kafka_log;
mod label;
mod native;
pub mod ownership;
mod parcel;
mod producer;
mod reader;
pub mod security;
pub mod topics;
mod url;

pub use config::{Compression, KafkaConfig, Mismatch};
pub use error::KafkaLogError;
pub use foreign::{ForeignMessage, ForeignReader, ReadUpTo};
pub use kafka_log::{Entry, KafkaLog};
pub use ownership::{ClaimAck, Epoch, Loss, Ownership, OwnershipConfig, OwnershipHandler};
pub use security::{SaslMechanism, Secret, SecurityConfig};
pub use topics::Topic;
