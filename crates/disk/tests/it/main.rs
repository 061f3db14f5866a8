//! Tests of the file layer through its public face.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "this is all test code"
)]

mod conformance;
mod crash_fs;
mod frames;
mod sim_fs;
