//! temp
mod cell;
pub mod compat;
pub mod dead_letter;
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
pub use error::SchemaError;
