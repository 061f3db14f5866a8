//! Popularity tables over all partitions, rebuilt every second or so and shared by all requests.
//!
//! Decay shrinks everybody alike, so the tables are read as of the newest event rather than the
//! present: the order is the same, and a log that has been silent for months still has one.

use crate::processor::Processor;
use nowcast_disk::Pacer;
use nowcast_features::{LocalItem, LocalSegment};
use nowcast_store::{CatalogReader, CatalogView, ItemIdx, LabelIdx};
use nowcast_types::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

/// Items read under one lock, so that the fold never waits long.
const ITEMS_PER_LOCK: u32 = 512;

/// Items with their score, best first; equal scores in the order of ids.
pub type RankedItems = Vec<(ItemIdx, f32)>;

/// Popularity as of the newest event. Lists hold live items only.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrendingTables {
    /// The time all decayed sums are read at.
    pub as_of: Timestamp,
    /// Everybody's, by the short half-life.
    pub global: RankedItems,
    /// Within each category, by the short half-life.
    pub categories: HashMap<LabelIdx, RankedItems>,
    /// Among the users of each segment, by the long half-life.
    pub segments: HashMap<Arc<str>, RankedItems>,
    /// By the short half-life, of every item by its number; items beyond the end have none.
    pub trending: Vec<f32>,
    /// By the long half-life, of every item by its number; items beyond the end have none.
    pub popular: Vec<f32>,
}

/// Sums in double precision, added in the order of partitions.
#[derive(Default)]
struct Sums {
    trending: Vec<f64>,
    popular: Vec<f64>,
    segments: HashMap<Arc<str>, HashMap<ItemIdx, f64>>,
}

impl Processor {
    /// Builds the tables anew, resting as `pacer` says. Takes about 0.5 µs of work per item and
    /// partition; `now` decides which items are live.
    #[must_use]
    pub fn trending(&self, now: Timestamp, pacer: &mut Pacer) -> TrendingTables {
        let as_of = now.min(self.watermark());
        let mut sums = Sums::default();
        for partition in 0..self.views().len() {
            self.add_partition(partition, as_of, &mut sums, pacer);
        }
        let view = self.catalog().view();
        let names = self.catalog().read();
        let len_max = self.config.trending_len as usize;
        let rank = |items: RankedItems| ranked(items, len_max, &names);
        let live = live_items(&sums.trending, &view, now);
        let segments = sums.segments.into_iter().map(|(segment, items)| {
            let is_live = |(item, score): (ItemIdx, f64)| {
                (score > 0.0 && view.is_live(item, now)).then_some((item, score as f32))
            };
            (
                segment,
                rank(items.into_iter().filter_map(is_live).collect()),
            )
        });
        TrendingTables {
            as_of,
            segments: segments.collect(),
            categories: by_category(&live, &view)
                .into_iter()
                .map(|(category, items)| (category, rank(items)))
                .collect(),
            global: rank(live),
            trending: sums.trending.iter().map(|sum| *sum as f32).collect(),
            popular: sums.popular.iter().map(|sum| *sum as f32).collect(),
        }
    }

    fn add_partition(
        &self,
        partition: usize,
        as_of: Timestamp,
        sums: &mut Sums,
        pacer: &mut Pacer,
    ) {
        let mut next = 0;
        let mut segments: Vec<Arc<str>> = Vec::new();
        loop {
            pacer.rest();
            let view = self.views()[partition].read();
            let state = view.state();
            let end = state.items_len().min(next + ITEMS_PER_LOCK);
            if next >= end {
                return;
            }
            let unnamed = segments.len() as u32..state.segments_len();
            segments.extend(unnamed.map(|number| Arc::from(state.segment(LocalSegment(number)))));
            for local in (next..end).map(LocalItem) {
                let item = view.item(local);
                let at = item.0 as usize;
                if sums.trending.len() <= at {
                    sums.trending.resize(at + 1, 0.0);
                    sums.popular.resize(at + 1, 0.0);
                }
                let part = state.popularity(local, as_of);
                sums.trending[at] += part.trending;
                sums.popular[at] += part.popular;
                for (segment, weight) in state.segment_popularity(local, as_of) {
                    let name = &segments[segment.index()];
                    if !sums.segments.contains_key(name) {
                        sums.segments.insert(name.clone(), HashMap::new());
                    }
                    if let Some(items) = sums.segments.get_mut(name) {
                        *items.entry(item).or_default() += weight;
                    }
                }
            }
            next = end;
        }
    }
}

fn live_items(scores: &[f64], view: &CatalogView, now: Timestamp) -> RankedItems {
    let scored = scores.iter().enumerate().filter(|(_, score)| **score > 0.0);
    scored
        .map(|(item, score)| (ItemIdx(item as u32), *score as f32))
        .filter(|(item, _)| view.is_live(*item, now))
        .collect()
}

fn by_category(items: &RankedItems, view: &CatalogView) -> HashMap<LabelIdx, RankedItems> {
    let mut categories: HashMap<LabelIdx, RankedItems> = HashMap::new();
    for (item, score) in items {
        for category in view.categories(*item) {
            let list = categories.entry(*category).or_default();
            list.push((*item, *score));
        }
    }
    categories
}

/// The best `len_max`, in order.
fn ranked(mut items: RankedItems, len_max: usize, names: &CatalogReader<'_>) -> RankedItems {
    let better = |(a, x): &(ItemIdx, f32), (b, y): &(ItemIdx, f32)| {
        y.total_cmp(x).then_with(|| names.id(*a).cmp(&names.id(*b)))
    };
    if items.len() > len_max {
        items.select_nth_unstable_by(len_max - 1, better);
        items.truncate(len_max);
        items.shrink_to_fit();
    }
    items.sort_unstable_by(better);
    items
}
