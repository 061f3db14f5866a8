//! Contracts of all models, seen from outside.
#![allow(clippy::unwrap_used)]

mod conformance;
mod damage;
mod planted;
