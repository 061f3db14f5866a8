//! Attributes of sessions on memcached: what a site knows of a session (campaign, cart value, page
//! kind) and wants filters and ranking to see, for as long as it lasts.
//!
//! One small JSON object per session, written whole and read whole while a request waits. Keys are
//! pseudonyms of session ids. A server that is away costs one request its short wait; for a moment
//! after that nobody waits for it.
//!
//! We speak three commands of the text protocol ourselves: the clients there are leave deadlines,
//! reconnecting and pooling to their callers, which is all of the work.
//!
//! # It is not
//! - durable: memcached forgets when it restarts or needs the room;
//! - part of the state that is folded, checkpointed or replayed;
//! - for several servers: put a proxy such as mcrouter in front of them.

mod config;
mod connection;
mod error;
mod store;

pub use config::{MemcachedConfig, SessionConfig};
pub use error::SessionError;
pub use store::{Attributes, SessionStore};
