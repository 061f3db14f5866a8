//! Tests of the log on Kafka, on three real brokers.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "this is all test code"
)]

mod appends;
mod conformance;
mod faults;
mod foreign;
mod load;
mod ownership;
mod rig;
mod security;
mod topics;
