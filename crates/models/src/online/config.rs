//! The parameters of the online ranker, with defaults that hold without tuning.

use super::factors::FACTORS_MAX;
use crate::error::ModelError;
use crate::params::{ParamDef, Params};

/// How a learner is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OnlineConfig {
    /// Logarithm to base 2 of the rows for indicators.
    pub indicator_bits: u32,
    /// Logarithm to base 2 of the rows for numbers.
    pub number_bits: u32,
    /// Step before adaptation and normalisation.
    pub learning_rate: f32,
    /// Squared gradient that every row is taken to have met already: damps the first steps of rare
    /// features.
    pub evidence: f32,
    /// Latent factors of each indicator; 0 for a linear margin.
    pub factors: usize,
    /// Step of the factors.
    pub factor_rate: f32,
    /// Seed of the factors' first values.
    pub seed: u64,
}

/// What `--param` may set.
pub const ONLINE_PARAMS: &[ParamDef] = &[
    ParamDef {
        name: "bits",
        default: "18",
        doc: "logarithm to base 2 of the rows for hashed features, 1 to 28",
    },
    ParamDef {
        name: "learning_rate",
        default: "0.3",
        doc: "step before adaptation and normalisation, above 0",
    },
    ParamDef {
        name: "evidence",
        default: "1",
        doc: "squared gradient that every row is taken to have met already, 0 or more",
    },
    ParamDef {
        name: "online_factors",
        default: "8",
        doc: "latent factors of each feature, 0 for a linear margin, at most 64",
    },
    ParamDef {
        name: "factor_rate",
        default: "0.01",
        doc: "step of the latent factors, above 0",
    },
];

impl Default for OnlineConfig {
    fn default() -> Self {
        Self {
            indicator_bits: 18,
            number_bits: 10,
            learning_rate: 0.3,
            evidence: 1.0,
            factors: 8,
            factor_rate: 0.01,
            seed: 1,
        }
    }
}

impl OnlineConfig {
    /// A linear margin that trusts its first examples: for many examples of few features, one
    /// outcome each. The default is for lists of some thousand choices and many features.
    #[must_use]
    pub fn linear() -> Self {
        Self {
            learning_rate: 0.5,
            evidence: 0.0,
            factors: 0,
            ..Self::default()
        }
    }

    /// Reads parameters, filling in defaults.
    ///
    /// # Errors
    /// An unknown name or a value outside its range.
    pub fn from_params(params: &Params, seed: u64) -> Result<Self, ModelError> {
        let resolved = params.resolve(super::NAME, ONLINE_PARAMS)?;
        let rate = 1e-6..=1e6;
        Ok(Self {
            indicator_bits: resolved.count("bits", 1..=28)? as u32,
            learning_rate: resolved.number("learning_rate", rate.clone())? as f32,
            evidence: resolved.number("evidence", 0.0..=1e9)? as f32,
            factors: resolved.count("online_factors", 0..=FACTORS_MAX)?,
            factor_rate: resolved.number("factor_rate", rate)? as f32,
            seed,
            ..Self::default()
        })
    }

    /// Whether every number lies in its range.
    ///
    /// # Errors
    /// [`ModelError::BadParam`] for the first one that does not.
    pub fn check(&self) -> Result<(), ModelError> {
        let positive = |value: f32| value.is_finite() && value > 0.0;
        let bits = 1..=28;
        let rules = [
            ("bits", bits.contains(&self.indicator_bits), "1 to 28"),
            ("number_bits", bits.contains(&self.number_bits), "1 to 28"),
            ("learning_rate", positive(self.learning_rate), "above 0"),
            (
                "evidence",
                self.evidence.is_finite() && self.evidence >= 0.0,
                "0 or more",
            ),
            ("online_factors", self.factors <= FACTORS_MAX, "at most 64"),
            ("factor_rate", positive(self.factor_rate), "above 0"),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            None => Ok(()),
            Some((name, _, expected)) => Err(ModelError::BadParam {
                name: name.to_owned(),
                value: format!("{self:?}"),
                expected: expected.to_owned(),
            }),
        }
    }
}
