//! The pipeline as its callers see it, over a small world whose right answers are known.

#![allow(clippy::unwrap_used)]

mod components;
mod expressions;
mod filtering;
mod ladder;
mod model_slots;
mod online_ranking;
mod reranking;
mod selection;
mod world;
