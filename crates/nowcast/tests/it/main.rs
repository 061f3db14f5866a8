//! The built binary, as people use it.
#![allow(clippy::unwrap_used)]

mod cdc;
mod config;
mod demo;
mod evaluate;
mod files;
mod import;
mod intake;
mod program;
mod registry;
mod server;
