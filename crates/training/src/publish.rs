//! Between models and the artifact store: make live, and bring back after a restart.

use crate::error::TrainingError;
use nowcast_models::Model;
use nowcast_store::ArtifactStore;
use nowcast_store::artifact::{LIVE, PREVIOUS};
use nowcast_types::ErrorKind;
use std::sync::Arc;

/// A model read back from the store.
pub struct Loaded {
    /// The model.
    pub model: Arc<dyn Model>,
    /// Its version.
    pub version: u64,
}

/// Versions that are tried when other processes publish the same model at the same moment.
const VERSIONS_TRIED_MAX: usize = 32;

/// Stores an artifact as the next version of `name` and makes it live. Returns the version.
///
/// # Errors
/// Those of the store; nothing is live then that was not before, unless moving the alias failed
/// in a way that leaves open whether it was moved.
pub fn publish(
    artifacts: &ArtifactStore,
    name: &str,
    artifact: &[u8],
) -> Result<u64, TrainingError> {
    let version = store_next(artifacts, name, artifact)?;
    artifacts.promote(name, version)?;
    Ok(version)
}

/// Stores an artifact as the next version, or the one after it where another process was faster.
fn store_next(
    artifacts: &ArtifactStore,
    name: &str,
    artifact: &[u8],
) -> Result<u64, TrainingError> {
    let mut tries = 0;
    loop {
        let version = artifacts.next_version(name)?;
        match artifacts.put(name, version, artifact) {
            Ok(()) => return Ok(version),
            Err(error) if error.kind() == ErrorKind::Conflict && tries < VERSIONS_TRIED_MAX => {
                tracing::info!(model = name, version, "another process has published it");
                tries += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The live version of `name`, or the previous one where the live one is damaged; `None` if there
/// never was one.
///
/// # Errors
/// Those of the store; [`ErrorKind::Corrupt`] when neither version is sound.
pub fn load_live(artifacts: &ArtifactStore, name: &str) -> Result<Option<Loaded>, TrainingError> {
    match load(artifacts, name, LIVE) {
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            tracing::warn!(model = name, %error, "live model is damaged, trying the previous one");
            match load(artifacts, name, PREVIOUS)? {
                Some(previous) => Ok(Some(previous)),
                None => Err(error),
            }
        }
        outcome => outcome,
    }
}

/// The bytes of the live version of `name`; `None` if there never was one.
pub(crate) fn live_artifact(
    artifacts: &ArtifactStore,
    name: &str,
) -> Result<Option<Vec<u8>>, TrainingError> {
    let version = artifacts.alias(name, LIVE)?;
    let bytes = version.map(|version| artifacts.get(name, version));
    Ok(bytes.transpose()?)
}

fn load(
    artifacts: &ArtifactStore,
    name: &str,
    alias: &str,
) -> Result<Option<Loaded>, TrainingError> {
    let Some(version) = artifacts.alias(name, alias)? else {
        return Ok(None);
    };
    let bytes = artifacts.get(name, version)?;
    let model: Arc<dyn Model> = nowcast_models::decode(&bytes)?.into();
    Ok(Some(Loaded { model, version }))
}
