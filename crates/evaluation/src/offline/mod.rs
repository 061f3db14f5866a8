//! Evaluation on published splits: train on one file, rank the whole catalogue, compare with
//! another.

mod cold_items;
mod exposure;
mod fitting;
mod lightgcn;
mod one_target;
mod one_target_files;
mod search;
mod seeds;
mod similarity;
mod split;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_one_target;

pub use cold_items::{ColdItemsOptions, evaluate_cold_items};
pub use lightgcn::{LightgcnOptions, evaluate_lightgcn};
pub use one_target::{OneTargetOptions, Protocol, evaluate_one_target};
pub use search::{Search, Trial};
pub use seeds::over_seeds;
pub use split::{Split, read_lightgcn};
