//! Strict test-then-learn in time order, through the fold and the pipeline that serve live
//! traffic.
//!
//! Every event after the warm-up, by default the first fifth, is first guessed from what is known,
//! then learnt, at once or at the next boundary of a batch system's day. The warm-up is learnt and
//! never scored.

mod arm;
mod curve;
mod export;
mod refresh;
mod run;
mod stream_file;
mod world;

pub use refresh::Refresh;
pub use run::{PrequentialOptions, SeenChoice, evaluate_prequential};
pub use stream_file::{EventStream, StreamColumns, StreamEvent, load};
