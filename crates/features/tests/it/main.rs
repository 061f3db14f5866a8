//! The fold as its callers see it, one file per behaviour.

mod attribution;
mod budget;
mod checkpoints;
mod determinism;
mod kernels;
mod memory;
mod merge_laws;
mod oracle;
mod replica;
mod rules;
mod scenario;
