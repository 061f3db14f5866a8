//! The processor over a simulated disk: restarts, crashes, damage, and what readers see.

#![allow(clippy::unwrap_used, reason = "this is all test code")]

mod away;
mod checkpoint_damage;
mod crashes;
mod examples;
mod positions;
mod reads;
mod restart;
mod rig;
mod tampered_log;
mod traffic;
mod visibility;
