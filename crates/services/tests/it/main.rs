//! Each server starts, answers a real request, survives the loss of a part, and stops.

mod kafka;
mod redis;
