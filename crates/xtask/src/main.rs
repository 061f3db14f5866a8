//! Checks and drills: tidy, chaos.

fn main() {}
