//! Behaviour of the stores over a simulated disk.

#![allow(clippy::unwrap_used, reason = "this is all test code")]

mod catalogue_round_trip;
mod checkpoint_crashes;
mod checkpoint_damage;
mod compaction;
mod conformance;
mod keyed_state;
