//! Where the schemas of schema ids come from: a trait with one method, for the built-in registry
//! and for the client of an external one.

use crate::error::SchemaError;
use crate::schema_type::SchemaText;
use std::future::Future;
use std::pin::Pin;

/// A future in a box, as a trait that is used as an object has to return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Looks schemas up by their id.
pub trait SchemaSource: Send + Sync {
    /// The schema with this id, `None` if the registry says that there is none.
    ///
    /// Errors mean that the registry did not answer: the same call may succeed later.
    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Option<SchemaText>, SchemaError>>;
}
