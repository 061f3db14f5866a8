//! The built binary, as people use it.
#![allow(clippy::unwrap_used)]

mod config;
mod demo;
mod evaluate;
mod files;
mod import;
mod program;
