//! The stored models that are in use, loaded and translated into the catalogue's numbers.

use arc_swap::ArcSwap;
use nowcast_recommend::{LoadedModel, ModelSet};
use nowcast_store::artifact::LIVE;
use nowcast_store::{ArtifactStore, Catalog};
use parking_lot::Mutex;
use std::sync::Arc;

/// Loads the live version of every stored model. One that is damaged is left out, loudly: the
/// other models and the live counters serve on.
#[must_use]
pub fn load(artifacts: &ArtifactStore, catalog: &Catalog) -> ModelSet {
    let names = artifacts.names().unwrap_or_else(|error| {
        tracing::error!(%error, "the stored models cannot be listed");
        Vec::new()
    });
    let loaded = names.iter().filter_map(|name| {
        load_one(artifacts, catalog, name)
            .inspect_err(|reason| tracing::error!(model = %name, %reason, "model left out"))
            .ok()
            .flatten()
    });
    ModelSet::new(loaded.collect())
}

fn load_one(
    artifacts: &ArtifactStore,
    catalog: &Catalog,
    name: &str,
) -> Result<Option<LoadedModel>, String> {
    let alias = artifacts
        .alias(name, LIVE)
        .map_err(|error| error.to_string())?;
    let Some(version) = alias else {
        return Ok(None);
    };
    let bytes = artifacts
        .get(name, version)
        .map_err(|error| error.to_string())?;
    let model = nowcast_models::decode(&bytes).map_err(|error| error.to_string())?;
    let loaded = LoadedModel::new(Arc::from(model), version.to_string(), catalog);
    Ok(Some(loaded))
}

/// Puts models into use that another process has published into the same folder.
pub struct ModelWatch {
    artifacts: Arc<ArtifactStore>,
    catalog: Arc<Catalog>,
    models: Arc<ArcSwap<ModelSet>>,
    /// What was live when it last looked.
    seen: Mutex<Vec<(String, u64)>>,
}

impl ModelWatch {
    /// Watches the models of `artifacts`; those live now are taken to be in use.
    #[must_use]
    pub fn new(
        artifacts: &Arc<ArtifactStore>,
        catalog: &Arc<Catalog>,
        models: &Arc<ArcSwap<ModelSet>>,
    ) -> Self {
        Self {
            artifacts: Arc::clone(artifacts),
            catalog: Arc::clone(catalog),
            models: Arc::clone(models),
            seen: Mutex::new(live_versions(artifacts)),
        }
    }

    /// Loads the live models if others are live than the last time, unless they are in use already.
    pub fn look(&self) {
        let live = live_versions(&self.artifacts);
        let before = std::mem::replace(&mut *self.seen.lock(), live.clone());
        if before == live {
            return;
        }
        let in_use = self.models.load();
        let is_in_use = |(name, version): &(String, u64)| {
            let version = version.to_string();
            let mut versions = in_use.versions().iter();
            versions.any(|known| known.name == *name && known.version == version)
        };
        if !live.iter().all(is_in_use) {
            self.models
                .store(Arc::new(load(&self.artifacts, &self.catalog)));
            tracing::info!("models that another process published are in use");
        }
    }
}

/// Name and version of every live model that can be listed.
fn live_versions(artifacts: &ArtifactStore) -> Vec<(String, u64)> {
    let names = artifacts.names().unwrap_or_default();
    let live = |name: String| {
        let version = artifacts.alias(&name, LIVE).ok().flatten()?;
        Some((name, version))
    };
    names.into_iter().filter_map(live).collect()
}
