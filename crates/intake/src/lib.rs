//! The ways into an engine beside HTTP: what other programs' producers need and write.
//!
//! - [`BuiltInRegistry`] is the schema registry of `schemas`, kept in the engine's log.
//! - [`Intake`] reads topics that other programs write: events, items, users, changes of database
//!   rows.
//! - [`DeadLetters`] shows what was refused, by topics and by the API, and takes it in after all.
//!
//! # It is not
//! A server (`server` mounts the registry) nor a judge of events (the engine's edge is).

pub mod batch;
pub mod built_in;
pub mod config;
pub mod debezium;
pub mod edge;
pub mod error;
pub mod intake;
pub mod letters;
pub mod reading;
pub mod registry_log;
mod repair;
pub mod topics;
pub mod view;

pub use built_in::BuiltInRegistry;
pub use config::RegistryConfig;
pub use error::IntakeError;
pub use intake::{Intake, readings};
pub use letters::{DeadLetters, Replayed};
pub use registry_log::EventRegistryLog;
pub use repair::Repair;
pub use topics::{InputFormat, InputKind, InputTopic, IntakeConfig};
pub use view::{LetterView, Wanted};
