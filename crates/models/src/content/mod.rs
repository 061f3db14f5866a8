//! Content similarity: items are like each other when they share categories, tags and words.
//!
//! Vectors are sparse TF-IDF over hashed features, compared by cosine. [`ContentIndex`] takes new
//! items one at a time, so an item that nobody has met can be recommended at once;
//! [`ContentTrainer`] wraps the same index as a model like the others.

mod features;
mod index;
mod least_squares;
mod map;
mod model;

pub use features::ItemContent;
pub use index::{ContentIndex, ContentProfile};
pub use map::ContentMap;
pub(crate) use map::MapTargets;
pub use model::ContentTrainer;
