//! The store on real Redis servers: rules, failovers, wipes, frozen owners, slow servers.

#![allow(clippy::unwrap_used, reason = "this is all test code")]

mod conformance;
mod failover;
mod following;
mod memory;
mod owners;
mod reads;
mod rig;
mod slow;
mod traffic;
mod wipe;
