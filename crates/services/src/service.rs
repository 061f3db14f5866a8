//! What every service offers, whatever its kind: a name, processes, and where to reach it.

use crate::server::Server;
use serde::{Deserialize, Serialize};

/// A place or path that somebody needs to use a service, under a name fit for an environment
/// variable, such as `NOWCAST_KAFKA`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Upper case, with underscores.
    pub name: String,
    /// A URL, `host:port` list or path.
    pub value: String,
}

impl Endpoint {
    /// Makes one.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// A started server, a cluster of them, or a tool that only had to be fetched.
pub trait Service: Send + Sync {
    /// Where it can be reached.
    fn endpoints(&self) -> Vec<Endpoint>;

    /// Its servers; none for a tool.
    fn servers(&self) -> Vec<&Server>;
}
