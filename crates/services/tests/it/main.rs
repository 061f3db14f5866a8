//! Each server starts, answers a real request, survives the loss of a part, and stops.

#![allow(clippy::unwrap_used, reason = "this is all test code")]

mod kafka;
mod redis;
mod small;
