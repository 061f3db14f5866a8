//! Contracts of all models, seen from outside.

mod conformance;
mod damage;
mod planted;
