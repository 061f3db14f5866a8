//! Live state as the processor keeps it, with the popularity tables that are rebuilt beside it.

use crate::answer::Position;
use crate::live::{Live, Profile, Touch, Trending};
use arc_swap::ArcSwap;
use nowcast_disk::Pacer;
use nowcast_features::{UserRef, ViewId};
use nowcast_store::ItemIdx;
use nowcast_stream::{PartitionView, Processor, StoredUser};
use nowcast_types::{Offset, PartitionId, Timestamp, UserKey};
use parking_lot::Mutex;
use std::sync::Arc;

/// Items whose click-through rate is read in one call, so that the fold never waits long.
const ITEMS_PER_CALL: usize = 512;

/// Tables of an unchanged state are rebuilt after this long, in milliseconds.
const REBUILD_AGE_MAX_MS: i64 = 60_000;

/// The processor, as the pipeline reads it.
pub struct ProcessorLive {
    processor: Arc<Processor>,
    ctr_view: Option<ViewId>,
    trending: ArcSwap<Trending>,
    /// What the tables were built from, held by whoever rebuilds them.
    built: Mutex<Option<Built>>,
}

/// What popularity tables are a function of, besides which items have expired since.
struct Built {
    applied: Vec<Offset>,
    catalog_changes: u64,
    at: Timestamp,
}

impl Built {
    /// Whether tables built now would be the same, or nearly: filters drop an item that expires in
    /// the meantime, so its place in a list may be stale for a minute.
    fn covers(&self, now: &Self) -> bool {
        let age_ms = now.at.since_ms(self.at);
        self.applied == now.applied
            && self.catalog_changes == now.catalog_changes
            && (0..REBUILD_AGE_MAX_MS).contains(&age_ms)
    }
}

impl ProcessorLive {
    /// Reads `processor`. `ctr_view` names the feature view of items that is a click-through rate;
    /// without one, or with a name that is not configured, no item has a rate. Popularity is empty
    /// until [`Self::refresh`] is called for the first time.
    #[must_use]
    pub fn new(processor: Arc<Processor>, ctr_view: Option<&str>) -> Self {
        let ctr_view = ctr_view.and_then(|name| processor.plan().find_view(name));
        Self {
            processor,
            ctr_view,
            trending: ArcSwap::default(),
            built: Mutex::new(None),
        }
    }

    /// Rebuilds the popularity tables if anything has changed, resting as `pacer` says. Takes about
    /// a microsecond of work per item and partition; call it from a background thread, every second
    /// or so.
    pub fn refresh(&self, now: Timestamp, pacer: &mut Pacer) {
        let mut built = self.built.lock();
        let next = Built {
            applied: self.processor.applied_all(),
            catalog_changes: self.processor.catalog().changes(),
            at: now,
        };
        if built.as_ref().is_some_and(|built| built.covers(&next)) {
            return;
        }
        let tables = self.processor.trending(now, pacer);
        let ctr = self
            .ctr_view
            .map(|view| self.rates(view, tables.trending.len(), now, pacer));
        let ctr = ctr.unwrap_or_default();
        self.trending.store(Arc::new(Trending { tables, ctr }));
        *built = Some(next);
    }

    fn rates(&self, view: ViewId, items: usize, now: Timestamp, pacer: &mut Pacer) -> Vec<f32> {
        let as_of = now.min(self.processor.watermark());
        let all: Vec<ItemIdx> = (0..items as u32).map(ItemIdx).collect();
        let mut rates = Vec::with_capacity(items);
        for items in all.chunks(ITEMS_PER_CALL) {
            pacer.rest();
            let part = self.processor.item_features(view, items, as_of);
            rates.extend(part.into_iter().map(|rate| rate.unwrap_or(0.0) as f32));
        }
        rates
    }
}

impl Live for ProcessorLive {
    fn profile(
        &self,
        user: &UserKey,
        stored: Option<&StoredUser>,
        now: Timestamp,
        profile: &mut Profile,
    ) -> bool {
        let copy = |user: UserRef<'_>, partition: &PartitionView| {
            profile
                .history
                .extend(user.history().iter().map(|entry| Touch {
                    item: partition.item(entry.item),
                    event_type: entry.event_type,
                    strength: entry.strength(),
                    at: Timestamp::from_seconds(i64::from(entry.time_s)),
                }));
            let segment = user.segment();
            profile.segment = segment.map(|local| Arc::from(partition.state().segment(local)));
            let affinity = user.affinity(now).into_iter();
            let affinity =
                affinity.map(|(local, weight)| (partition.category(local), weight as f32));
            profile.affinity.extend(affinity);
        };
        let found = match stored {
            Some(stored) => self.processor.with_stored(user, stored, copy),
            None => self.processor.with_user(user, copy),
        };
        found.is_some()
    }

    fn for_each_neighbour(
        &self,
        seeds: &[ItemIdx],
        now: Timestamp,
        neighbour: &mut dyn FnMut(usize, ItemIdx, f32),
    ) {
        self.processor
            .for_each_neighbour(seeds, now, |place, item, weight| {
                neighbour(place, item, weight as f32);
            });
    }

    fn trending(&self) -> Arc<Trending> {
        self.trending.load_full()
    }

    fn positions(&self) -> Vec<Position> {
        let applied = self.processor.applied_all().into_iter().enumerate();
        applied
            .map(|(at, offset)| Position::new(PartitionId(at as u16), offset))
            .collect()
    }
}
