//! What the models that are one matrix from items to items share: the interactions as a sparse
//! matrix, the block by block computation of columns, and the served form, which keeps of each
//! column its largest weights.
//!
//! The score of item `i` is `Σ_j x_j W[i, j]` over the history `x`, so the user is the history
//! itself: an unseen user with the history of a training user gets the same answer.

mod bipartite;
mod columns;
mod lists;

pub(crate) use bipartite::{Bipartite, Sparse};
pub(crate) use columns::{COLUMNS, top_of_columns};
pub(crate) use lists::ItemLists;
