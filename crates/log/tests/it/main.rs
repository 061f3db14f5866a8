//! Tests of the log through its public face.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "this is all test code"
)]

mod bit_flips;
mod codec;
mod conformance;
mod crash;
mod crash_schedule;
mod disk_faults;
mod embedded;
mod failpoints;
mod fixtures;
mod hook_fs;
mod planted_bugs;
