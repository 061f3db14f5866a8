//! The configuration of attribution, checked and laid out by event type.

use crate::config::AttributionConfig;
use crate::error::FeaturesError;
use nowcast_types::{EventTypeCode, EventTypes, Span};

/// Most objectives: what an item has met is one byte.
const OBJECTIVES_MAX: usize = 8;
/// Longest window.
const WINDOW_MAX: Span = Span(30 * 86_400_000);

/// Attribution, ready for use.
#[derive(Debug)]
pub(crate) struct AttributionPlan {
    pub(crate) window_ms: i64,
    pub(crate) answers_per_user_max: usize,
    pub(crate) bytes_max: u64,
    /// Names of the objectives, by bit.
    pub(crate) objectives: Vec<String>,
    rules: Vec<Rule>,
}

/// An event type that makes an objective come true.
#[derive(Debug, Clone, Copy)]
struct Rule {
    event_type: EventTypeCode,
    value_min: Option<f32>,
    bit: u8,
}

impl AttributionPlan {
    /// The plan of a configuration; `None` if it is switched off.
    pub(crate) fn compile(
        config: &AttributionConfig,
        types: &EventTypes,
        state_bytes_max: u64,
    ) -> Result<Option<Self>, FeaturesError> {
        let refuse = |key: &str, problem: &str| {
            let key = format!("attribution.{key}");
            Err(FeaturesError::config(key, problem))
        };
        if !config.enabled {
            return Ok(None);
        }
        if config.window.ms() < 1_000 || config.window > WINDOW_MAX {
            return refuse("window", "it must be from 1s to 30d");
        }
        if config.answers_per_user_max == 0 {
            return refuse("answers_per_user_max", "it must be at least 1");
        }
        let bytes_max = config.pending_bytes_max.bytes();
        if bytes_max == 0 || bytes_max > state_bytes_max / 2 {
            return refuse(
                "pending_bytes_max",
                "it must be above 0B and at most half of state_bytes_max",
            );
        }
        if !(1..=OBJECTIVES_MAX).contains(&config.objectives.len()) {
            return refuse("objectives", "there must be 1 to 8");
        }
        let mut rules = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for (bit, objective) in (0..).zip(&config.objectives) {
            let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            if objective.name.is_empty() || !objective.name.bytes().all(is_word) {
                return refuse("objectives.name", "a name is a-z, 0-9 and _");
            }
            if names.contains(&objective.name) {
                return refuse("objectives.name", "the name is taken");
            }
            if objective.events.is_empty() || !objective.weight.is_finite() {
                return refuse("objectives.events", "it needs events and a finite weight");
            }
            for name in &objective.events {
                let Some(event_type) = types.code(name) else {
                    let known: Vec<&str> = types.names().collect();
                    let problem = format!("no event type `{name}`; known: {}", known.join(", "));
                    return refuse("objectives.events", &problem);
                };
                rules.push(Rule {
                    event_type,
                    value_min: objective.value_min,
                    bit,
                });
            }
            names.push(objective.name.clone());
        }
        Ok(Some(Self {
            window_ms: config.window.ms(),
            answers_per_user_max: usize::from(config.answers_per_user_max),
            bytes_max,
            objectives: names,
            rules,
        }))
    }

    /// Bits of the objectives that an event makes come true.
    pub(crate) fn objectives_of(&self, event_type: EventTypeCode, value: Option<f32>) -> u8 {
        let is_met = |rule: &&Rule| {
            rule.event_type == event_type
                && rule
                    .value_min
                    .is_none_or(|least| value.is_some_and(|value| value >= least))
        };
        let met = self.rules.iter().filter(is_met);
        met.fold(0, |bits, rule| bits | 1 << rule.bit)
    }

    /// Bits of all objectives.
    pub(crate) fn all(&self) -> u8 {
        (0..self.objectives.len()).fold(0, |bits, bit| bits | 1 << bit)
    }

    /// Each objective of `bits` behind `sign`, separated by spaces.
    pub(crate) fn labels(&self, bits: u8, sign: char) -> String {
        let mut labels = String::new();
        for (bit, name) in self.objectives.iter().enumerate() {
            if bits & (1 << bit) != 0 {
                if !labels.is_empty() {
                    labels.push(' ');
                }
                labels.push(sign);
                labels.push_str(name);
            }
        }
        labels
    }
}
