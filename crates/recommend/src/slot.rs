//! A slot with its names resolved: what the configuration says, as positions in the registries.

use crate::config::{RecommendConfig, SlotConfig};
use crate::error::RecommendError;
use crate::{scorers, sources};
use std::collections::BTreeMap;

/// The slot of requests that name none, and what others fall back to.
pub(crate) const DEFAULT_SLOT: &str = "default";
/// The slot of "similar items" requests, if configured.
pub(crate) const SIMILAR_SLOT: &str = "similar";

/// A checked slot.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) config: SlotConfig,
    /// Positions in the registry of sources, in its order, with the most candidates of each.
    pub(crate) sources: Vec<(usize, usize)>,
    /// Positions in the registry of scorers with their weight.
    pub(crate) blend: Vec<(usize, f32)>,
    /// The same for candidates of the caller.
    pub(crate) rerank: Vec<(usize, f32)>,
}

impl Slot {
    fn new(name: &str, config: &SlotConfig) -> Result<Self, RecommendError> {
        check_numbers(name, config)?;
        let source_names: Vec<&str> = sources::registry().iter().map(|s| s.name()).collect();
        let scorer_names: Vec<&str> = scorers::registry().iter().map(|s| s.name()).collect();
        let sources = resolve(name, "source", &config.sources, &source_names)?;
        let blend = resolve(name, "scorer", &config.scorers, &scorer_names)?;
        let rerank = resolve(name, "rerank scorer", &config.rerank, &scorer_names)?;
        Ok(Self {
            config: config.clone(),
            sources: sources.into_iter().filter(|(_, n)| *n > 0).collect(),
            blend: blend.into_iter().filter(|(_, w)| *w != 0.0).collect(),
            rerank: rerank.into_iter().filter(|(_, w)| *w != 0.0).collect(),
        })
    }

    /// The weights that a request uses.
    pub(crate) fn weights(&self, is_rerank: bool) -> &[(usize, f32)] {
        if is_rerank { &self.rerank } else { &self.blend }
    }

    /// Whether the request needs what the component `name` stands for.
    pub(crate) fn uses(&self, name: &str, is_rerank: bool) -> bool {
        let is_source = |(at, _): &(usize, usize)| sources::registry()[*at].name() == name;
        let is_scorer = |(at, _): &(usize, f32)| scorers::registry()[*at].name() == name;
        self.weights(is_rerank).iter().any(is_scorer)
            || (!is_rerank && self.sources.iter().any(is_source))
    }
}

/// All slots of a configuration, checked.
pub(crate) fn compile(config: &RecommendConfig) -> Result<BTreeMap<String, Slot>, RecommendError> {
    if !config.slots.contains_key(DEFAULT_SLOT) {
        let known: Vec<&str> = config.slots.keys().map(String::as_str).collect();
        return Err(RecommendError::UnknownSlot {
            name: DEFAULT_SLOT.to_owned(),
            known: known.join(", "),
        });
    }
    let slots = config.slots.iter();
    slots
        .map(|(name, slot)| Ok((name.clone(), Slot::new(name, slot)?)))
        .collect()
}

fn resolve<T: Copy>(
    slot: &str,
    stage: &'static str,
    chosen: &BTreeMap<String, T>,
    names: &[&str],
) -> Result<Vec<(usize, T)>, RecommendError> {
    if let Some(name) = chosen.keys().find(|name| !names.contains(&name.as_str())) {
        return Err(RecommendError::UnknownComponent {
            slot: slot.to_owned(),
            stage,
            name: name.clone(),
            known: names.join(", "),
        });
    }
    let in_order = names.iter().enumerate();
    Ok(in_order
        .filter_map(|(at, name)| Some((at, *chosen.get(*name)?)))
        .collect())
}

fn check_numbers(slot: &str, config: &SlotConfig) -> Result<(), RecommendError> {
    let bad = |key: String, rule: &'static str| {
        Err(RecommendError::BadSlot {
            slot: slot.to_owned(),
            key,
            rule,
        })
    };
    let share = 0.0..=1.0;
    if !(1..=10_000).contains(&config.k_max) {
        return bad("k_max".to_owned(), "must be between 1 and 10000");
    }
    if config.history_max > 10_000 {
        return bad("history_max".to_owned(), "must be at most 10000");
    }
    if !share.contains(&config.exploration_share) {
        return bad("exploration_share".to_owned(), "must be between 0 and 1");
    }
    if !share.contains(&config.diversity.mmr) {
        return bad("diversity.mmr".to_owned(), "must be between 0 and 1");
    }
    if let Some((name, _)) = config.sources.iter().find(|(_, limit)| **limit > 10_000) {
        return bad(format!("sources.{name}"), "must be at most 10000");
    }
    for (table, weights) in [("scorers", &config.scorers), ("rerank", &config.rerank)] {
        if let Some((name, _)) = weights.iter().find(|(_, weight)| !weight.is_finite()) {
            return bad(format!("{table}.{name}"), "must be finite");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_slot(change: impl FnOnce(&mut SlotConfig)) -> Result<(), String> {
        let mut config = RecommendConfig::default();
        change(config.slots.get_mut(DEFAULT_SLOT).unwrap());
        compile(&config).map(|_| ()).map_err(|err| err.to_string())
    }

    #[test]
    fn the_defaults_name_only_existing_components() {
        assert_eq!(with_slot(|_| {}), Ok(()));
    }

    #[test]
    fn an_unknown_component_is_refused_and_the_valid_ones_are_listed() {
        let message = with_slot(|slot| {
            slot.scorers.insert("popularty".to_owned(), 1.0);
        })
        .unwrap_err();
        assert!(message.contains("`popularty`"), "{message}");
        assert!(message.contains("popularity, ctr"), "{message}");
    }

    #[test]
    fn numbers_outside_their_range_are_refused() {
        assert!(with_slot(|slot| slot.exploration_share = 1.5).is_err());
        assert!(with_slot(|slot| slot.diversity.mmr = f32::NAN).is_err());
        assert!(with_slot(|slot| slot.k_max = 0).is_err());
        let infinite = with_slot(|slot| {
            slot.rerank.insert("touch".to_owned(), f32::INFINITY);
        });
        assert!(infinite.unwrap_err().contains("rerank.touch"));
    }
}
