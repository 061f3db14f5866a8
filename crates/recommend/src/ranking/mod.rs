//! What the online ranker goes by: facts of a request and its candidates, the features made of
//! them, and the weights that live requests score with.
//!
//! ```text
//! request ── gather ──► Facts ── features ──► score           (serving)
//!                         │
//!                         └─ kept with the answer ─► outcome ─► features ─► learn
//! ```
//!
//! [`Facts`] are taken once, when the request is answered, and kept with the answer; learning
//! expands the very same facts. Nothing is looked up again, so there is no difference between what
//! was known when serving and what is learnt from. A server keeps them in the log: slates have them as
//! bytes, the fold's joiner hands them on with a label, and [`OnlineTraining`] learns.

mod facts;
mod facts_codec;
mod features;
mod gather;
mod live_ranker;
mod teaching;
mod training;

pub use facts::{Facts, ItemFacts, Situation};
pub use facts_codec::ITEM_FACTS_BYTES;
pub use features::{FeatureList, features};
pub(crate) use gather::gather;
pub use live_ranker::{CHOICE, LiveRanker};
pub use teaching::{Label, Taught, labels, teach};
pub use training::{Lesson, OnlineTraining};
