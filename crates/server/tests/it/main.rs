//! The API from outside: a real server on a free port with a real engine behind it.

#![allow(clippy::unwrap_used)]

mod endpoints;
mod events;
mod harness;
mod limits;
mod malformed;
mod privacy;
mod refusals;
mod sessions;
