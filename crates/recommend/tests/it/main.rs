//! The pipeline as its callers see it, over a small world whose right answers are known.

mod components;
mod expressions;
mod filtering;
mod ladder;
mod reranking;
mod selection;
mod world;
