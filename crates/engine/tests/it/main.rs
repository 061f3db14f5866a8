//! The engine as a value: opened, written to, asked, closed and opened again.

#![allow(clippy::unwrap_used)]

mod backends;
mod harness;
mod learning;
mod lifecycle;
mod models_on_s3;
mod serving;
mod writing;
