//! The stored models that are in use, loaded and translated into the catalogue's numbers.

use nowcast_recommend::{LoadedModel, ModelSet};
use nowcast_store::artifact::LIVE;
use nowcast_store::{ArtifactStore, Catalog};
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
