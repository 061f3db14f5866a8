//! The state of partitions on Redis: one server, a cluster, or behind sentinels.
//!
//! [`RedisStore`] is a `StateStore`: a processor commits small deltas to it often, each with the
//! position it reflects, in one script call. A new owner claims a partition, reads everything and
//! goes on at the stored position. Serving processes read users with [`RedisStore::get_many`], one
//! round trip for any number.
//!
//! Redis may lose its newest writes in a failover, or everything. Nothing here prevents that; it is
//! noticed, because every commit says which position it follows, and made good from the log.
//!
//! It is not a cache in front of something else, and it keeps no model and no item catalogue for
//! serving: item-side rows are here for the next owner.

mod claim;
mod clear;
mod commit;
pub mod config;
pub mod error;
pub mod estimate;
mod head;
mod keys;
mod link;
mod load;
mod members;
mod piece;
mod read;
mod reader;
mod script;
mod staged;
pub mod store;
mod url;

pub use config::RedisConfig;
pub use error::RedisStoreError;
pub use estimate::{Estimate, Sizes, estimate};
pub use store::RedisStore;
