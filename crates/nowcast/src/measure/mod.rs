//! Instruments of the benchmarks: clocks, a load generator, the disk's own speed.
//!
//! The generator runs in threads of this process with names of their own, so that its CPU time
//! can be told from the server's.

pub mod child;
pub mod cpu;
pub mod disk_sync;
pub mod load;
pub mod scratch;
pub mod wire;
