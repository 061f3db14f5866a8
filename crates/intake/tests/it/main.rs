//! The intake on a real engine, with messages handed in as a broker would.
#![allow(clippy::unwrap_used)]

mod batches;
mod letters;
mod registry;
mod registry_on_kafka;
mod rig;
