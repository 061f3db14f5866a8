//! The built binary, as people use it.
#![allow(clippy::unwrap_used)]

#[cfg(feature = "cluster")]
mod cluster;
mod config;
mod demo;
mod evaluate;
mod files;
mod import;
mod program;
