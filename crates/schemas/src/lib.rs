//! Schemas: those that Nowcast ships, those that foreign producers write with, and the registry
//! that keeps them.
//!
//! - [`decode::Decoder`] turns a message of a foreign producer (JSON, Avro, Protobuf, with or
//!   without a registry's header, CloudEvents) into the [`fields::EventFields`] of an event or the
//!   [`fields::EntityFields`] of an item or user, or says with a [`fault::Fault`] why it cannot.
//! - [`shipped`] has the schemas of event, item and user in Avro, Protobuf and JSON Schema.
//! - [`registry`] is the built-in schema registry as a value, [`http::ROUTES`] its REST API, and
//!   [`client::RegistryClient`] the client of an external one.
//! - [`compat`] decides whether a new version of a schema goes with the earlier ones.
//!
//! ```
//! use nowcast_schemas::decode::Decoder;
//! use nowcast_schemas::fields::Decoded;
//! use nowcast_schemas::message::Message;
//! use nowcast_schemas::topic::TopicConfig;
//!
//! let decoder = Decoder::new(None);
//! let message = Message::of_value(br#"{"event_type":"click","user_id":"ann","item_id":"i1"}"#);
//! let decoded = decoder.try_decode(&message, &TopicConfig::default());
//! assert!(matches!(decoded, Ok(Decoded::Event(fields)) if fields.item_id.as_deref() == Some("i1")));
//! ```
//!
//! # It is not
//! A validator of events: whether a type exists or a time is too old is for the edge. Nor a
//! Kafka client: messages are handed in. It knows no schema contexts, no data contracts (rule
//! sets, metadata), no encryption, and does not fetch schemas from URLs that schemas name.
//!
//! # Limits
//! A schema has at most 1 MiB with all it refers to; a decoder remembers 4096 writer schemas.

mod cell;
pub mod client;
pub mod compat;
pub mod decode;
pub mod error;
pub mod fault;
pub mod fields;
pub mod http;
pub mod message;
mod parsed;
pub mod registry;
pub mod schema_type;
pub mod shipped;
pub mod source;
pub mod topic;

pub use client::{RegistryClient, RegistryClientConfig};
pub use decode::{Decoder, Obstacle};
pub use error::SchemaError;
pub use fault::{Fault, FaultCode};
pub use fields::{Decoded, EntityChange, EntityFields, EventFields};
pub use message::Message;
pub use registry::{Registry, RegistryChange, RegistryLog, RegistryService};
pub use source::SchemaSource;
pub use topic::{RecordKind, TopicConfig, TopicFormat};
