//! The models that can be compared, each as a slot of the pipeline.
//!
//! An arm is the whole serving path with one idea switched on. Users an idea knows nothing about
//! get the popular items, as they would live.

use crate::error::EvaluationError;
use nowcast_recommend::{SeenPolicy, SlotConfig};
use std::collections::BTreeMap;

/// One way to recommend.
pub(crate) struct Arm {
    /// The name in `--models`.
    pub(crate) name: &'static str,
    /// Trained models it needs.
    pub(crate) trains: &'static [&'static str],
    /// Its components; empty for the default slot.
    sources: &'static [(&'static str, usize)],
    scorers: &'static [(&'static str, f32)],
}

/// Candidates of one source; far more than any list that is scored.
const CANDIDATES: usize = 300;

/// Every arm. To add one, add a block.
const ARMS: &[Arm] = &[
    // The weights of the default slot; not the batch model of this name, which no arm has.
    Arm {
        name: "blend",
        trains: &["ials"],
        sources: &[],
        scorers: &[],
    },
    Arm {
        name: "popular",
        trains: &[],
        sources: &[("trending_global", CANDIDATES)],
        scorers: &[("popularity", 1.0)],
    },
    Arm {
        name: "online",
        trains: &[],
        sources: &[("trending_global", CANDIDATES)],
        // Touches and the given order break ties, and stand in until something is learnt.
        scorers: &[
            ("online", 1.0),
            ("touch", 2e-4),
            ("position", 1e-4),
            ("popularity", 1e-5),
        ],
    },
    Arm {
        name: "covisit",
        trains: &[],
        sources: &[("covisit", CANDIDATES), ("trending_global", CANDIDATES)],
        scorers: &[("covisit", 1.0), ("popularity", 0.001)],
    },
    Arm {
        name: "ials",
        trains: &["ials"],
        sources: &[("ials", CANDIDATES), ("trending_global", CANDIDATES)],
        scorers: &[("ials", 1.0), ("popularity", 0.001)],
    },
];

impl Arm {
    /// The arm of a name.
    pub(crate) fn find(name: &str) -> Result<&'static Self, EvaluationError> {
        ARMS.iter().find(|arm| arm.name == name).ok_or_else(|| {
            let known: Vec<&str> = ARMS.iter().map(|arm| arm.name).collect();
            EvaluationError::Options(format!(
                "no prequential model `{name}`; there are {}",
                known.join(", ")
            ))
        })
    }

    /// Whether it learns from each choice, so that its answers matter before any is scored.
    pub(crate) fn learns_choices(&self) -> bool {
        self.scorers.iter().any(|(name, _)| *name == "online")
    }

    /// The slot that serves it, made from the site's default slot.
    pub(crate) fn slot(&self, default: &SlotConfig, seen: SeenPolicy) -> SlotConfig {
        let mut slot = SlotConfig {
            seen,
            ..default.clone()
        };
        if !self.sources.is_empty() {
            slot.sources = owned(self.sources);
            slot.scorers = owned(self.scorers);
            slot.rerank = owned(self.scorers);
        } else if seen == SeenPolicy::Keep {
            slot.sources.insert("history".to_owned(), CANDIDATES);
            slot.scorers.insert("repeat".to_owned(), 1.0);
        }
        slot
    }
}

fn owned<T: Copy>(entries: &[(&str, T)]) -> BTreeMap<String, T> {
    let owned = entries
        .iter()
        .map(|(name, value)| ((*name).to_owned(), *value));
    owned.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_arm_lists_the_known_ones() {
        let error = Arm::find("popularity").err().unwrap().to_string();
        assert!(error.contains("popular, online"), "{error}");
    }

    #[test]
    fn every_arm_compiles_as_a_slot() {
        let default = nowcast_recommend::RecommendConfig::default();
        for arm in ARMS {
            for seen in [SeenPolicy::Keep, SeenPolicy::Remove] {
                let slot = arm.slot(&default.slots["default"], seen);
                assert!(
                    super::super::world::World::check_slot(slot).is_ok(),
                    "{}",
                    arm.name
                );
            }
        }
    }
}
