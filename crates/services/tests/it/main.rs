//! Each server starts, answers a real request, survives the loss of a part, and stops.

#![allow(clippy::unwrap_used, reason = "this is all test code")]

mod connect;
mod kafka;
mod people;
mod reaper;
mod redis;
mod small;
