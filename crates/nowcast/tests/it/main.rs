//! The built binary, as people use it.
#![allow(clippy::unwrap_used)]

mod cdc;
mod cluster;
mod cold_items;
mod config;
mod connect;
mod dead_letters;
mod demo;
mod evaluate;
mod files;
mod front_door;
mod import;
mod intake;
mod models_on_s3;
mod program;
mod registry;
mod server;
mod stopping;
mod tune;
mod waiting;
