//! The place on a real S3 server: rules, races, lost answers, damage, a server that is away.

#![allow(clippy::unwrap_used, reason = "this is all test code")]

mod away;
mod conformance;
mod credentials;
mod damage;
mod lost_answers;
mod rig;
