//! The online ranker as requests and outcomes meet it.
//!
//! Requests read a table of weights under a lock held for microseconds; learning happens on a copy
//! with everything it needs, and [`LiveRanker::publish`] carries the touched rows across.

use super::facts::Facts;
use super::features::{FeatureList, features};
use nowcast_models::ModelError;
use nowcast_models::online::{Example, Objective, OnlineConfig, OnlineRanker, RankerWeights};
use parking_lot::{Mutex, RwLock};

/// The objective that choices from a list teach.
pub const CHOICE: &str = "choice";

/// Learner and server in one process. The default has no learner of its own and says nothing until
/// it follows one.
#[derive(Default)]
pub struct LiveRanker {
    learner: Mutex<Option<OnlineRanker>>,
    weights: RwLock<RankerWeights>,
}

impl LiveRanker {
    /// A ranker that knows nothing, with [`CHOICE`] as its only objective.
    ///
    /// # Errors
    /// A number of the configuration is outside its range.
    pub fn new(config: OnlineConfig) -> Result<Self, ModelError> {
        let choice = Objective {
            name: CHOICE.to_owned(),
            weight: 1.0,
        };
        Ok(Self::of(OnlineRanker::new(config, vec![choice])?))
    }

    /// One that goes on from what `learner` knows.
    #[must_use]
    pub fn of(mut learner: OnlineRanker) -> Self {
        let weights = learner.follow();
        Self {
            learner: Mutex::new(Some(learner)),
            weights: RwLock::new(weights),
        }
    }

    /// Whether anything that was learnt has been published.
    #[must_use]
    pub fn knows_something(&self) -> bool {
        self.weights.read().knows_something()
    }

    /// The score of each item of `facts`.
    pub fn score(&self, facts: &Facts, out: &mut [f32]) {
        let list = features(facts);
        let weights = self.weights.read();
        for (example, out) in examples(&list).iter().zip(out) {
            *out = weights.score(example);
        }
    }

    /// Learns that the item at `chosen` was chosen from `facts`. Requests see it after the next
    /// [`Self::publish`].
    pub fn learn_choice(&self, facts: &Facts, chosen: usize) {
        let list = features(facts);
        let examples = examples(&list);
        let mut learner = self.learner.lock();
        if let Some(choice) = learner.as_mut().and_then(|l| l.learner_mut(CHOICE)) {
            choice.learn_list(&examples, chosen, 1.0);
        }
    }

    /// Serves from what `ranker` knows. From here on it remembers which rows it touches, for
    /// [`Self::publish_from`].
    pub fn follow(&self, ranker: &mut OnlineRanker) {
        let weights = ranker.follow();
        *self.weights.write() = weights;
    }

    /// Lets requests see what `ranker`, which is followed, has learnt since the last time; returns
    /// how many rows that took.
    pub fn publish_from(&self, ranker: &mut OnlineRanker) -> usize {
        ranker.publish(&mut self.weights.write())
    }

    /// Lets requests see what was learnt; returns how many rows that took.
    pub fn publish(&self) -> usize {
        let mut learner = self.learner.lock();
        match learner.as_mut() {
            Some(learner) => learner.publish(&mut self.weights.write()),
            None => 0,
        }
    }
}

fn examples(list: &FeatureList) -> Vec<Example<'_>> {
    let example = |item| Example {
        indicators: list.item(item),
        prior: list.prior(item),
        ..Example::default()
    };
    (0..list.len()).map(example).collect()
}
