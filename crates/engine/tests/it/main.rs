//! The engine as a value: opened, written to, asked, closed and opened again.

mod harness;
mod lifecycle;
mod serving;
mod writing;
