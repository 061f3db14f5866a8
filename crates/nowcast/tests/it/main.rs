//! The built binary, as people use it.

mod config;
mod demo;
mod evaluate;
mod files;
mod import;
mod program;
