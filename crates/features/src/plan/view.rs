//! One feature view, checked and ready to fold.

use super::filter::{self, Condition};
use crate::aggregations::{self, AggregateValue, Aggregation, Params, Width};
use crate::config::{EntityKind, FeatureViewConfig, Operand};
use crate::decay::DecayClock;
use crate::error::FeaturesError;
use nowcast_types::{EventTypes, Span};

/// A feature view of a plan, by its place in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ViewId(pub u16);

/// One feature view, ready to fold.
#[derive(Debug)]
pub struct ViewPlan {
    pub(crate) name: String,
    pub(crate) entity: EntityKind,
    pub(crate) aggregation: &'static dyn Aggregation,
    pub(crate) params: Params,
    pub(crate) operand: Operand,
    pub(crate) conditions: Vec<Condition>,
    /// Codes of the event types that count.
    pub(crate) events: Vec<u8>,
    /// Codes of the event types of a rate's denominator.
    pub(crate) per: Vec<u8>,
    /// Length of a tile in seconds.
    pub(crate) slot_s: u32,
    pub(crate) slots: u32,
    pub(crate) width: Width,
    /// Which block of the entity's buffer holds the tiles.
    pub(crate) block: usize,
}

const WINDOW_MIN: Span = Span(60_000);
const WINDOW_MAX: Span = Span(30 * 86_400_000);
const SLOTS_MAX: u16 = 60;

impl ViewPlan {
    pub(super) fn compile(
        config: &FeatureViewConfig,
        types: &EventTypes,
        block: usize,
    ) -> Result<Self, FeaturesError> {
        let fail = |key: &str, problem: String| {
            FeaturesError::config(format!("views.{}.{key}", config.name), problem)
        };
        let valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if config.name.is_empty() || !config.name.bytes().all(valid) {
            return Err(fail("name", "a name is a-z, 0-9 and _".to_owned()));
        }
        let aggregation = aggregations::find(&config.aggregation).ok_or_else(|| {
            let names: Vec<_> = aggregations::registry().iter().map(|a| a.name()).collect();
            let known = names.join(", ");
            fail(
                "aggregation",
                format!("`{}` is not one of {known}", config.aggregation),
            )
        })?;
        aggregation
            .check(config)
            .map_err(|problem| fail("aggregation", problem))?;
        let operand = operand_of(config, aggregation).map_err(|problem| fail("of", problem))?;
        if config.events.is_empty() {
            return Err(fail("events", "name at least one event type".to_owned()));
        }
        let window_s = window_seconds(config).map_err(|problem| fail("window", problem))?;
        let half_life_s = match config.half_life {
            Some(half_life) if half_life.ms() >= 1_000 => (half_life.ms() / 1_000) as u32,
            Some(_) => return Err(fail("half_life", "at least 1s".to_owned())),
            None => window_s / 4,
        };
        let params = Params {
            k: usize::from(config.k.unwrap_or(0)),
            prior_mean: prior(config.prior_mean).map_err(|p| fail("prior_mean", p))?,
            prior_strength: prior(config.prior_strength).map_err(|p| fail("prior_strength", p))?,
            window_s,
            decay: DecayClock::new(half_life_s),
        };
        Ok(Self {
            name: config.name.clone(),
            entity: config.entity,
            aggregation,
            width: aggregation.width(&params),
            params,
            operand,
            conditions: filter::compile(&config.filter)
                .map_err(|problem| fail("filter", problem))?,
            events: codes(&config.events, types).map_err(|problem| fail("events", problem))?,
            per: codes(&config.per, types).map_err(|problem| fail("per", problem))?,
            slot_s: window_s / u32::from(config.slots),
            slots: u32::from(config.slots),
            block,
        })
    }

    /// The view's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whom it describes.
    #[must_use]
    pub const fn entity(&self) -> EntityKind {
        self.entity
    }

    /// What is aggregated.
    #[must_use]
    pub const fn operand(&self) -> Operand {
        self.operand
    }

    /// The name of its aggregation.
    #[must_use]
    pub fn aggregation(&self) -> &'static str {
        self.aggregation.name()
    }

    /// How far back it looks, in seconds.
    #[must_use]
    pub const fn window_s(&self) -> u32 {
        self.params.window_s
    }

    /// Whether it reports keys, and not only how many.
    pub(crate) fn is_ranked(&self) -> bool {
        matches!(self.aggregation.name(), "last_k" | "top_k")
    }

    /// The tile of a time; 0 where the aggregation keeps a single partial.
    pub(crate) fn slot_of(&self, time_s: u32) -> u32 {
        if self.aggregation.is_tiled() {
            time_s / self.slot_s
        } else {
            0
        }
    }

    /// The partial of no events.
    pub(crate) fn empty_partial(&self) -> Vec<u32> {
        match self.width {
            Width::Fixed(n) => {
                let mut words = vec![0; n];
                self.aggregation.init(&mut words);
                words
            }
            Width::UpTo(_) => Vec::new(),
        }
    }

    /// Most words that the view can take in its entity's buffer.
    pub(super) fn words_max(&self) -> usize {
        match self.width {
            Width::Fixed(n) => (n + 1) * self.slots as usize,
            Width::UpTo(n) => (n + 2) * self.slots as usize,
        }
    }

    /// What a partial says as of a time.
    pub(crate) fn value(&self, words: &[u32], as_of_s: u32) -> AggregateValue {
        self.aggregation.value(&self.params, words, as_of_s)
    }
}

fn operand_of(
    config: &FeatureViewConfig,
    aggregation: &dyn Aggregation,
) -> Result<Operand, String> {
    let operands = aggregation.operands();
    let operand = config.of.unwrap_or(operands[0]);
    if !operands.contains(&operand) {
        return Err(format!(
            "`{}` aggregates one of {operands:?}, not {operand:?}",
            config.aggregation
        ));
    }
    let is_ranked = matches!(config.aggregation.as_str(), "last_k" | "top_k");
    if is_ranked && config.entity != EntityKind::User {
        return Err(format!(
            "`{}` is for the entity `user`: its keys are numbered per partition, and only users \
             live in one partition",
            config.aggregation
        ));
    }
    Ok(operand)
}

fn window_seconds(config: &FeatureViewConfig) -> Result<u32, String> {
    if config.window < WINDOW_MIN || config.window > WINDOW_MAX {
        return Err(format!("{} is not within 1m and 30d", config.window));
    }
    if config.slots == 0 || config.slots > SLOTS_MAX {
        return Err(format!(
            "`slots` is from 1 to {SLOTS_MAX}, not {}",
            config.slots
        ));
    }
    let slot_ms = config.window.ms() / i64::from(config.slots);
    if slot_ms * i64::from(config.slots) != config.window.ms() || slot_ms % 1_000 != 0 {
        return Err(format!(
            "{} does not divide into {} slots of whole seconds",
            config.window, config.slots
        ));
    }
    Ok((config.window.ms() / 1_000) as u32)
}

fn prior(value: Option<f64>) -> Result<f64, String> {
    let value = value.unwrap_or(0.0);
    if value.is_finite() && (0.0..=1e12).contains(&value) {
        Ok(value)
    } else {
        Err(format!("{value} is not a number from 0 to 1e12"))
    }
}

fn codes(names: &[String], types: &EventTypes) -> Result<Vec<u8>, String> {
    names
        .iter()
        .map(|name| {
            types.code(name).map(|code| code.0).ok_or_else(|| {
                let known: Vec<_> = types.names().collect();
                format!("`{name}` is not an event type ({})", known.join(", "))
            })
        })
        .collect()
}
