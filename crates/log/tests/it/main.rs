//! Tests of the log through its public face.

mod bit_flips;
mod codec;
mod conformance;
mod crash;
mod crash_schedule;
mod disk_faults;
mod embedded;
mod fixtures;
mod hook_fs;
mod planted_bugs;
