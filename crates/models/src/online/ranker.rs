//! Several objectives at once: a learner for each, and a signed weight that says what it is worth.

use super::config::OnlineConfig;
use super::example::Example;
use super::learner::OnlineLearner;
use super::serving::OnlineWeights;
use crate::error::ModelError;

/// What somebody may do with what was shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// Such as `click`, `purchase`, `dislike`.
    pub name: String,
    /// What it is worth beside the others; below 0 for what is to be avoided.
    pub weight: f32,
}

/// A learner for each objective. The score is the weighted sum of their margins: odds multiply.
#[derive(Debug, Clone)]
pub struct OnlineRanker {
    pub(super) objectives: Vec<(Objective, OnlineLearner)>,
}

impl OnlineRanker {
    /// A ranker that knows nothing, all of whose learners have the same configuration.
    ///
    /// # Errors
    /// A number outside its range, no objective, or two of one name.
    pub fn new(config: OnlineConfig, objectives: Vec<Objective>) -> Result<Self, ModelError> {
        check(&objectives)?;
        let learners = objectives.into_iter().map(|objective| {
            let learner = OnlineLearner::new(config)?;
            Ok((objective, learner))
        });
        Ok(Self {
            objectives: learners.collect::<Result<_, ModelError>>()?,
        })
    }

    /// What it learns, in order.
    pub fn objectives(&self) -> impl Iterator<Item = &Objective> {
        self.objectives.iter().map(|(objective, _)| objective)
    }

    /// The learner of an objective.
    #[must_use]
    pub fn learner(&self, name: &str) -> Option<&OnlineLearner> {
        let mut all = self.objectives.iter();
        all.find(|(objective, _)| objective.name == name)
            .map(|(_, learner)| learner)
    }

    /// The learner of an objective, to teach it.
    pub fn learner_mut(&mut self, name: &str) -> Option<&mut OnlineLearner> {
        let mut all = self.objectives.iter_mut();
        all.find(|(objective, _)| objective.name == name)
            .map(|(_, learner)| learner)
    }

    /// Takes over the weights of `objectives`; false, and nothing changes, if they are not those
    /// that it learns, in its order.
    pub fn reweigh(&mut self, objectives: &[Objective]) -> bool {
        let own = self.objectives().map(|objective| &objective.name);
        let is_same = own.eq(objectives.iter().map(|objective| &objective.name));
        if is_same && check(objectives).is_ok() {
            for ((own, _), new) in self.objectives.iter_mut().zip(objectives) {
                own.weight = new.weight;
            }
            return true;
        }
        false
    }

    /// Whether all its learners have this configuration.
    #[must_use]
    pub fn is_configured_as(&self, config: &OnlineConfig) -> bool {
        let mut all = self.objectives.iter();
        all.all(|(_, learner)| learner.config() == config)
    }

    /// A copy of all weights, to serve from, which [`Self::publish`] brings up to date.
    #[must_use]
    pub fn follow(&mut self) -> RankerWeights {
        let weights = self
            .objectives
            .iter_mut()
            .map(|(objective, learner)| (objective.weight, learner.follow()));
        RankerWeights {
            objectives: weights.collect(),
        }
    }

    /// Writes the rows touched since the last time and returns how many they were.
    pub fn publish(&mut self, weights: &mut RankerWeights) -> usize {
        let pairs = self.objectives.iter_mut().zip(&mut weights.objectives);
        pairs
            .map(|((_, learner), (_, weights))| learner.publish(weights))
            .sum()
    }
}

/// Weights of all objectives, as a request uses them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RankerWeights {
    objectives: Vec<(f32, OnlineWeights)>,
}

impl RankerWeights {
    /// How good an item is; 0 before anything is learnt.
    #[must_use]
    pub fn score(&self, example: &Example<'_>) -> f32 {
        let margins = self
            .objectives
            .iter()
            .map(|(weight, weights)| weight * weights.margin(example));
        margins.sum()
    }

    /// Whether anything has been learnt.
    #[must_use]
    pub fn knows_something(&self) -> bool {
        self.objectives
            .iter()
            .any(|(_, weights)| weights.examples() > 0)
    }
}

pub(super) fn check(objectives: &[Objective]) -> Result<(), ModelError> {
    let unusable = |reason: String| ModelError::UnusableData {
        model: super::NAME,
        reason,
    };
    if objectives.is_empty() {
        return Err(unusable("there is no objective".to_owned()));
    }
    for (at, objective) in objectives.iter().enumerate() {
        if !objective.weight.is_finite() {
            let name = &objective.name;
            return Err(unusable(format!("the weight of `{name}` is not finite")));
        }
        if objectives[..at].iter().any(|o| o.name == objective.name) {
            return Err(unusable(format!("`{}` is there twice", objective.name)));
        }
    }
    Ok(())
}
