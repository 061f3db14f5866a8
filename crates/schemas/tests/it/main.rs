//! The schemas from outside: one module per behaviour.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail loudly and say what it did"
)]

mod client_calls;
mod compatibility;
mod decoding;
mod evolution;
mod mutated_messages;
mod python_clients;
mod registry_api;
mod registry_log;
mod running;
mod samples;
mod shipped_equal;
