//! Contracts of all models, seen from outside.
#![allow(clippy::unwrap_used)]

mod cold_items;
mod conformance;
mod damage;
mod planted;
