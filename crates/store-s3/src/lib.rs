//! Model artifacts on Amazon S3 and on what speaks its protocol (MinIO, Ceph, R2 and others).
//!
//! [`S3Place`] is an [`ArtifactPlace`](nowcast_store::ArtifactPlace): each version and each alias is
//! one object, laid out as in a folder, so that either can be copied into the other.
//!
//! * Versions are put if absent and aliases if unchanged, by the store's own conditional writes, so
//!   any number of processes may publish at once.
//! * Each call has a time limit, and tries again what may pass, within a budget shared by all calls:
//!   a store that is down gets a tenth more calls, not a multiple.
//! * A write whose answer was lost is told from another writer's: its object carries a number that
//!   nobody else drew.
//!
//! # It is not
//! - a cache: every read asks the store;
//! - for parts of files or for objects above 5 GiB, the most that one put may have;
//! - able to use stores without conditional writes: they refuse the first one.
//!
//! It needs the rights to list, get, put and delete objects under the prefix.

mod calls;
mod config;
mod failure;
mod place;
mod transport;
mod url;

pub use config::S3Config;
pub use place::S3Place;
