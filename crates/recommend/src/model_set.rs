//! The models in use, with the translation between their numbering of items and the catalogue's.
//!
//! A set is immutable and swapped whole: a request takes one reference and keeps its models to the
//! end, whatever is published meanwhile.

use crate::answer::ModelVersion;
use crate::newcomers::Newcomers;
use nowcast_models::{ContentIndex, ItemContent, Model};
use nowcast_store::{Catalog, ItemIdx};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What stands for "this model does not know the item".
const UNKNOWN: u32 = u32::MAX;

/// The trained models of this moment.
#[derive(Debug, Default)]
pub struct ModelSet {
    models: Vec<LoadedModel>,
    versions: Arc<[ModelVersion]>,
}

impl ModelSet {
    /// A set of `models`. Names are distinct; of equal ones the first serves.
    #[must_use]
    pub fn new(models: Vec<LoadedModel>) -> Self {
        let versions = models.iter().map(|loaded| ModelVersion {
            name: loaded.name().to_owned(),
            version: loaded.version.clone(),
        });
        let versions = versions.collect();
        Self { models, versions }
    }

    /// The model of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&LoadedModel> {
        self.models.iter().find(|loaded| loaded.name() == name)
    }

    /// Every model, in the order given.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &LoadedModel> {
        self.models.iter()
    }

    /// The model of a name and its place in the set.
    pub(crate) fn position(&self, name: &str) -> Option<(usize, &LoadedModel)> {
        let mut places = self.models.iter().enumerate();
        places.find(|(_, loaded)| loaded.name() == name)
    }

    /// Takes over items of the catalogue that came or changed since the last call and that a model
    /// has never met. Call it after catalogue changes, beside [`LiveContent::follow`].
    pub fn follow(&self, catalog: &Catalog) {
        for loaded in &self.models {
            loaded.newcomers.follow(loaded, catalog);
        }
    }

    /// Whether a request may wait for a pass over the items of a model that others share with it.
    #[must_use]
    pub fn shares_passes(&self) -> bool {
        self.models
            .iter()
            .any(|loaded| loaded.model.shares_passes())
    }

    /// Which artifacts serve.
    #[must_use]
    pub fn versions(&self) -> &Arc<[ModelVersion]> {
        &self.versions
    }
}

/// A model and the two tables between its items and the catalogue's. A clone shares them.
#[derive(Clone)]
pub struct LoadedModel {
    model: Arc<dyn Model>,
    version: String,
    to_catalog: Arc<[ItemIdx]>,
    /// By [`ItemIdx`]; [`UNKNOWN`] where the model has no such item. Items interned after the load
    /// lie beyond the end.
    to_model: Arc<[u32]>,
    newcomers: Arc<Newcomers>,
}

impl LoadedModel {
    /// Interns the model's items and builds both tables. Takes a millisecond per few thousand
    /// items, so it belongs to the thread that publishes, not to a request.
    #[must_use]
    pub fn new(model: Arc<dyn Model>, version: impl Into<String>, catalog: &Catalog) -> Self {
        let ids = model.items().iter();
        let to_catalog: Arc<[ItemIdx]> = ids.map(|id| catalog.intern(id)).collect();
        let len = to_catalog.iter().map(|item| item.0 as usize + 1).max();
        let mut to_model = vec![UNKNOWN; len.unwrap_or(0)];
        for (own, item) in to_catalog.iter().enumerate() {
            to_model[item.0 as usize] = own as u32;
        }
        let loaded = Self {
            model,
            version: version.into(),
            to_catalog,
            to_model: to_model.into(),
            newcomers: Arc::default(),
        };
        loaded.newcomers.follow(&loaded, catalog);
        loaded
    }

    /// Items that the model has never met.
    pub(crate) fn newcomers(&self) -> &Newcomers {
        &self.newcomers
    }

    /// Name of the model.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.model.name()
    }

    /// Version of its artifact.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The model, in its own numbering.
    #[must_use]
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// The model's number of an item of the catalogue.
    #[inline]
    #[must_use]
    pub fn to_model(&self, item: ItemIdx) -> Option<u32> {
        let own = self.to_model.get(item.0 as usize).copied();
        own.filter(|own| *own != UNKNOWN)
    }

    /// The catalogue's number of an item of the model.
    ///
    /// # Panics
    /// When the model returns an item that it does not list.
    #[inline]
    #[must_use]
    pub fn to_catalog(&self, own: u32) -> ItemIdx {
        self.to_catalog[own as usize]
    }
}

impl fmt::Debug for LoadedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoadedModel({} {})", self.name(), self.version)
    }
}

/// Content similarity over the catalogue as it is now, keyed by [`ItemIdx`]: how an item that
/// nobody has met gets recommended.
#[derive(Debug, Default)]
pub struct LiveContent {
    index: RwLock<ContentIndex>,
    /// The catalogue's change counter up to which `index` is, held by whoever brings it further.
    followed: Mutex<u64>,
    /// Whether items have changed since norms were last computed.
    is_stale: AtomicBool,
}

/// Changed items taken over under one lock, so that requests never wait long.
const ITEMS_PER_LOCK: usize = 64;

impl LiveContent {
    /// An index of no item.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over what changed in the catalogue since the last call, and returns how many items
    /// did. Call it from one background thread after catalogue changes.
    pub fn follow(&self, catalog: &Catalog) -> usize {
        let mut followed = self.followed.lock();
        let changed = self.take_over(catalog, &mut followed);
        // Norms follow document frequencies, which move slowly: recompute them after bulk changes.
        // Between two answers that differ only in when items came there must be no difference in the
        // end: once nothing more comes, norms are what the items alone make them.
        let is_bulk = changed > self.index.read().len() / 4;
        let is_over = changed == 0 && self.is_stale.load(Ordering::Relaxed);
        if is_bulk || is_over {
            self.refresh_norms();
        }
        changed
    }

    /// As [`Self::follow`], but leaves the norms to it: for callers that wait for a change to show.
    pub fn catch_up(&self, catalog: &Catalog) {
        let mut followed = self.followed.lock();
        self.take_over(catalog, &mut followed);
    }

    fn take_over(&self, catalog: &Catalog, followed: &mut u64) -> usize {
        let changes = catalog.changes_since(*followed);
        for items in changes.items.chunks(ITEMS_PER_LOCK) {
            let rows: Vec<_> = items
                .iter()
                .map(|item| {
                    (
                        *item,
                        catalog.item(*item).as_ref().map(ItemContent::from_item),
                    )
                })
                .collect();
            let mut index = self.index.write();
            for (item, content) in rows {
                match content {
                    Some(content) => index.upsert(item.0, &content),
                    None => index.remove(item.0),
                }
            }
        }
        if !changes.items.is_empty() {
            self.is_stale.store(true, Ordering::Relaxed);
        }
        *followed = changes.upto;
        changes.items.len()
    }

    /// Recomputes the norms beside requests, which go on with the old ones meanwhile. Items change
    /// only under the lock that the caller holds.
    fn refresh_norms(&self) {
        let norms = self.index.read().norms();
        self.index.write().set_norms(&norms);
        self.is_stale.store(false, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, ContentIndex> {
        self.index.read()
    }
}
