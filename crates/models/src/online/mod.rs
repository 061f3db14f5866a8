//! The online ranker, model name [`NAME`]: it learns from one shown list or one outcome at a time,
//! while it serves.
//!
//! A margin is a sum of weights over hashed features, by choice with the pairwise products of a
//! factorisation machine (Rendle 2010). Each weight has a step of its own: adaptive (Duchi, Hazan
//! and Singer 2011), normalised against the scale of numbers (Ross, Mineiro and Langford 2013), and
//! invariant to importance, so that an example of importance two moves the weights as the same
//! example twice would (Karampatziakis and Langford 2011).
//!
//! - [`OnlineLearner`] has the whole state and learns: [`OnlineLearner::learn`] takes one outcome
//!   under logistic loss, [`OnlineLearner::learn_list`] a list from which one item was chosen,
//!   under the softmax over the list.
//! - [`OnlineWeights`] has the weights alone and scores. It follows a learner by the rows touched
//!   since the last time ([`OnlineLearner::publish`]).
//! - [`OnlineRanker`] keeps a learner for each objective, with a signed weight.
//!
//! # Why not `Trainer` and `Model`
//! Those make a model from a finished table of interactions and fold a history into it. This one
//! has no table of items and no history: whoever asks brings features, the same when it learns and
//! when it serves. It shares the artifact's envelope and nothing else of them.
//!
//! # Position
//! What is true of a place only because something was shown there goes into
//! [`Example::shown`]: it explains the outcome while learning and is left out when serving, so that
//! an item does not inherit the attention of the places it had. The order of a list that a caller
//! brings to be re-ranked is no such thing, but knowledge that is there when serving.

mod artifact;
mod config;
mod example;
mod factors;
mod learner;
mod list;
mod math;
mod ranker;
mod rows;
mod serving;
#[cfg(test)]
mod tests;

pub use config::{ONLINE_PARAMS, OnlineConfig};
pub use example::{Example, Feature, Number};
pub use learner::OnlineLearner;
pub use ranker::{Objective, OnlineRanker, RankerWeights};
pub use serving::OnlineWeights;

/// The name in configuration, artifacts and reports.
pub const NAME: &str = "online";
