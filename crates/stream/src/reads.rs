//! Reads of items, categories and segments, merged over partitions.
//!
//! Users live in one partition; items in all. Partials are merged in the order of partitions, so
//! equal states give equal sums to the last bit. Each partition is locked once per call, not once
//! per item, and never two at a time.

use crate::processor::Processor;
use nowcast_features::aggregations::AggregateValue;
use nowcast_features::{Entity, FeatureKey, FeatureValue, PartialValue, Popularity, ViewId};
use nowcast_store::ItemIdx;
use nowcast_types::{Timestamp, UserKey};
use std::collections::HashMap;

/// Whose feature is asked for, in names that hold for all partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureEntity<'a> {
    /// A user.
    User(UserKey),
    /// An item.
    Item(ItemIdx),
    /// A category, by name.
    Category(&'a str),
    /// A segment of users, by name.
    Segment(&'a str),
    /// An item within a segment of users.
    ItemSegment(ItemIdx, &'a str),
    /// Everything.
    Global,
}

/// The value of a feature, with names instead of numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Feature {
    /// There was no event that counts.
    Missing,
    /// One number.
    Number(f64),
    /// Names in order, each with its score (a count, or a time in seconds).
    Ranked(Vec<(String, f64)>),
}

impl Processor {
    /// Decayed popularity of each of `items`, in their order.
    #[must_use]
    pub fn popularity(&self, items: &[ItemIdx], as_of: Timestamp) -> Vec<Popularity> {
        let mut sums = vec![Popularity::default(); items.len()];
        for view in self.views() {
            let view = view.read();
            for (sum, item) in sums.iter_mut().zip(items) {
                if let Some(local) = view.local(*item) {
                    let part = view.state().popularity(local, as_of);
                    sum.trending += part.trending;
                    sum.popular += part.popular;
                }
            }
        }
        sums
    }

    /// Decayed popularity of a category.
    #[must_use]
    pub fn category_popularity(&self, category: &str, as_of: Timestamp) -> Popularity {
        let mut sum = Popularity::default();
        for view in self.views() {
            let view = view.read();
            if let Some(local) = view.state().find_category(category) {
                let part = view.state().category_popularity(local, as_of);
                sum.trending += part.trending;
                sum.popular += part.popular;
            }
        }
        sum
    }

    /// Calls `neighbour(place of the seed, item, decayed weight)` for every item met together with
    /// one of `seeds`, once per partition that saw the pair: the caller adds up.
    pub fn for_each_neighbour(
        &self,
        seeds: &[ItemIdx],
        as_of: Timestamp,
        mut neighbour: impl FnMut(usize, ItemIdx, f64),
    ) {
        for view in self.views() {
            let view = view.read();
            for (place, seed) in seeds.iter().enumerate() {
                let Some(local) = view.local(*seed) else {
                    continue;
                };
                for (other, weight) in view.state().neighbours(local, as_of) {
                    neighbour(place, view.item(other), weight);
                }
            }
        }
    }

    /// Items met together with `item`, heaviest first; equal weights in the order of their ids.
    #[must_use]
    pub fn neighbours(&self, item: ItemIdx, as_of: Timestamp) -> Vec<(ItemIdx, f64)> {
        let mut weights: HashMap<ItemIdx, f64> = HashMap::new();
        self.for_each_neighbour(&[item], as_of, |_, other, weight| {
            *weights.entry(other).or_default() += weight;
        });
        let mut found: Vec<(ItemIdx, f64)> = weights.into_iter().collect();
        let names = self.catalog().read();
        found.sort_unstable_by(|(a, x), (b, y)| {
            y.total_cmp(x).then_with(|| names.id(*a).cmp(&names.id(*b)))
        });
        found
    }

    /// The value of a feature view for an entity; missing if the view is of another kind of entity.
    #[must_use]
    pub fn feature(&self, view: ViewId, entity: FeatureEntity<'_>, as_of: Timestamp) -> Feature {
        if let FeatureEntity::User(user) = entity {
            let value = self.with_user(&user, |user, partition| {
                let name = |key: FeatureKey| partition.state().key_name(key).to_owned();
                named(user.feature(view, as_of), name)
            });
            return value.unwrap_or(Feature::Missing);
        }
        let mut merged: Option<PartialValue> = None;
        for partition in self.views() {
            let partition = partition.read();
            let state = partition.state();
            let local = match entity {
                FeatureEntity::User(_) => None,
                FeatureEntity::Item(item) => partition.local(item).map(Entity::Item),
                FeatureEntity::Category(name) => state.find_category(name).map(Entity::Category),
                FeatureEntity::Segment(name) => state.find_segment(name).map(Entity::Segment),
                FeatureEntity::ItemSegment(item, name) => partition
                    .local(item)
                    .zip(state.find_segment(name))
                    .map(|(item, segment)| Entity::ItemSegment(item, segment)),
                FeatureEntity::Global => Some(Entity::Global),
            };
            let partial = local.and_then(|entity| state.partial(view, &entity, as_of));
            match (&mut merged, partial) {
                (Some(merged), Some(partial)) => self.plan().merge_partials(view, merged, &partial),
                (None, Some(partial)) => merged = Some(partial),
                (_, None) => {}
            }
        }
        match merged.map(|partial| self.plan().partial_value(view, &partial, as_of)) {
            Some(AggregateValue::Number(number)) => Feature::Number(number),
            // Ranked views exist for users only: their keys are numbers of one partition.
            Some(AggregateValue::Ranked(_) | AggregateValue::Missing) | None => Feature::Missing,
        }
    }

    /// A numeric view of items for each of `items`, in their order; `None` where nothing counts.
    #[must_use]
    pub fn item_features(
        &self,
        view: ViewId,
        items: &[ItemIdx],
        as_of: Timestamp,
    ) -> Vec<Option<f64>> {
        let mut merged: Vec<Option<PartialValue>> = vec![None; items.len()];
        for partition in self.views() {
            let partition = partition.read();
            for (sum, item) in merged.iter_mut().zip(items) {
                let local = partition.local(*item).map(Entity::Item);
                let partial = local.and_then(|item| partition.state().partial(view, &item, as_of));
                match (sum, partial) {
                    (Some(sum), Some(partial)) => self.plan().merge_partials(view, sum, &partial),
                    (sum @ None, Some(partial)) => *sum = Some(partial),
                    (_, None) => {}
                }
            }
        }
        let value = |partial: PartialValue| match self.plan().partial_value(view, &partial, as_of) {
            AggregateValue::Number(number) => Some(number),
            AggregateValue::Ranked(_) | AggregateValue::Missing => None,
        };
        merged.into_iter().map(|sum| sum.and_then(value)).collect()
    }
}

fn named(value: FeatureValue, name: impl Fn(FeatureKey) -> String) -> Feature {
    match value {
        FeatureValue::Missing => Feature::Missing,
        FeatureValue::Number(number) => Feature::Number(number),
        FeatureValue::Ranked(keys) => Feature::Ranked(
            keys.into_iter()
                .map(|(key, score)| (name(key), score))
                .collect(),
        ),
    }
}
