//! The `[online]` section: how the online ranker learns from what was shown.

use nowcast_models::online::OnlineConfig;
use nowcast_types::{ByteSize, Span};
use serde::Deserialize;

/// The `[online]` section.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnlineRankingConfig {
    /// Whether this process learns, if examples are labelled at all.
    pub enabled: bool,
    /// Most items of an answer that are kept with what their scores went by.
    pub shown_max: usize,
    /// Logarithm to base 2 of the rows for hashed features.
    pub bits: u32,
    /// Step before adaptation and normalisation.
    pub learning_rate: f32,
    /// Squared gradient that every row is taken to have met already.
    pub evidence: f32,
    /// Latent factors of each feature; 0 for a linear margin.
    pub factors: usize,
    /// Step of the latent factors.
    pub factor_rate: f32,
    /// Seed of the factors' first values.
    pub seed: u64,
    /// How often an outcome counts that came after its item had been labelled negative.
    pub correction_importance: f32,
    /// How soon requests see what was learnt.
    pub publish_interval: Span,
    /// How often what was learnt is stored.
    pub checkpoint_interval: Span,
    /// Bytes of examples read at once.
    pub read_bytes_max: ByteSize,
}

impl Default for OnlineRankingConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            shown_max: 20,
            bits: 18,
            learning_rate: 0.3,
            evidence: 1.0,
            factors: 0,
            factor_rate: 0.01,
            seed: 1,
            correction_importance: 2.0,
            publish_interval: Span(500),
            checkpoint_interval: Span(10_000),
            read_bytes_max: ByteSize(1 << 20),
        }
    }
}

impl OnlineRankingConfig {
    /// The parameters of each learner.
    #[must_use]
    pub fn ranker(&self) -> OnlineConfig {
        OnlineConfig {
            indicator_bits: self.bits,
            // The facts of requests are all indicators.
            number_bits: 1,
            learning_rate: self.learning_rate,
            evidence: self.evidence,
            factors: self.factors,
            factor_rate: self.factor_rate,
            seed: self.seed,
        }
    }

    /// Whether every number lies in its range.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn check(&self) -> Result<(), String> {
        self.ranker()
            .check()
            .map_err(|error| format!("online: {error}"))?;
        let importance = self.correction_importance;
        if !(1.0..=100.0).contains(&importance) {
            return Err("online.correction_importance must be from 1 to 100".to_owned());
        }
        if !(1..=1_000).contains(&self.publish_interval.ms()) {
            return Err("online.publish_interval must be from 1ms to 1s".to_owned());
        }
        if self.checkpoint_interval.ms() == 0 {
            return Err("online.checkpoint_interval must be longer than 0ms".to_owned());
        }
        if !(1..=1_000).contains(&self.shown_max) {
            return Err("online.shown_max must be from 1 to 1000".to_owned());
        }
        Ok(())
    }
}
