//! Settings of training, section `training` of the config file.

use crate::error::TrainingError;
use nowcast_models::{Params, trainer};
use nowcast_types::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is trained, on how much, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Whether the background loop runs.
    pub enabled: bool,
    /// Names of the models to train.
    pub models: Vec<String>,
    /// Parameters by model; what is absent takes the model's default.
    pub params: BTreeMap<String, Params>,
    /// Seed of every random choice.
    pub seed: u64,
    /// Least time between the starts of two trainings.
    pub interval: Span,
    /// How much the events of the log must have grown since the last training, as a share.
    pub growth_min: f64,
    /// The same for a refresh between two trainings, of the models that can be refreshed, since the
    /// last training or refresh; 0 for none.
    pub refresh_growth_min: f64,
    /// Fewest usable interactions for a first training.
    pub interactions_min: usize,
    /// Most interactions in a data set; the newest are kept.
    pub interactions_max: usize,
    /// Most interactions of one user in a data set; the newest are kept.
    pub interactions_per_user_max: usize,
    /// Threads that a training may use.
    pub threads: usize,
    /// Users whose newest interaction is kept back for validation, at most.
    pub validation_users_max: usize,
    /// A model must reach this share of the popular list's recall to be published.
    pub gate_share_of_popular: f64,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            models: ["popular", "covisit", "ials"].map(str::to_owned).to_vec(),
            params: BTreeMap::new(),
            seed: 1,
            interval: Span(30_000),
            growth_min: 0.2,
            refresh_growth_min: 0.02,
            interactions_min: 500,
            interactions_max: 20_000_000,
            interactions_per_user_max: 1000,
            threads: 1,
            validation_users_max: 1000,
            gate_share_of_popular: 0.9,
        }
    }
}

impl TrainingConfig {
    /// Checks names, parameters and ranges, so that a training does not fail on them hours later.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), TrainingError> {
        for name in &self.models {
            let trainer = trainer(name)?;
            let params = self.params_of(name);
            params.resolve(trainer.name(), trainer.params())?;
        }
        if let Some(name) = self.params.keys().find(|name| !self.models.contains(name)) {
            return Err(TrainingError::Config(format!(
                "training.params.{name}: `{name}` is not in training.models"
            )));
        }
        let shares = [
            ("growth_min", self.growth_min),
            ("refresh_growth_min", self.refresh_growth_min),
            ("gate_share_of_popular", self.gate_share_of_popular),
        ];
        for (name, share) in shares {
            if !(0.0..=100.0).contains(&share) {
                return Err(TrainingError::Config(format!(
                    "training.{name} = {share}: expected 0 to 100"
                )));
            }
        }
        if self.threads == 0 || self.interactions_max == 0 || self.interactions_per_user_max == 0 {
            return Err(TrainingError::Config(
                "training: threads, interactions_max and interactions_per_user_max are at least 1"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// The parameters given for a model.
    #[must_use]
    pub fn params_of(&self, model: &str) -> Params {
        self.params.get(model).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_usable_and_mistakes_are_named() {
        TrainingConfig::default().check().unwrap();
        let with_models = |models: &[&str]| TrainingConfig {
            models: models.iter().map(|&m| m.to_owned()).collect(),
            ..TrainingConfig::default()
        };
        let error = with_models(&["iasl"]).check().unwrap_err().to_string();
        assert!(error.contains("ials"), "{error}");
        let mut config = with_models(&["ials"]);
        let params = Params::new().with("factor", 3);
        config.params.insert("ials".to_owned(), params);
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains("factors"), "{error}");
    }
}
