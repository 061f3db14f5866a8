//! Evaluation on published splits: train on one file, rank the whole catalogue, compare with
//! another.

mod lightgcn;
mod split;
#[cfg(test)]
mod tests;

pub use lightgcn::{LightgcnOptions, evaluate_lightgcn};
pub use split::{Split, read_lightgcn};
