//! From events in a log to models that serve, seen from outside.
#![allow(clippy::unwrap_used)]

mod dataset;
mod loop_runs;
mod publishing;
mod world;
