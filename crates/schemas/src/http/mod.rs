//! The built-in registry over HTTP: the REST API of the Confluent Schema Registry.
//!
//! [`router`] is an axum router without middleware; authentication, limits and metrics belong to
//! the server that mounts it, at `/` or below a prefix.

mod answers;
mod config;
mod schemas;
mod subjects;

use crate::registry::{Registry, RegistryChange, RegistryRefusal, RegistryService};
use answers::{Answer, Failure};
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use serde_json::json;
use std::sync::Arc;

/// What every handler works on.
type Service = State<Arc<RegistryService>>;

/// The routes of the API.
pub fn router(service: Arc<RegistryService>) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/contexts", get(contexts))
        .route("/v1/metadata/id", get(cluster_id))
        .route("/schemas", get(schemas::list))
        .route("/schemas/types", get(schemas::types))
        .route("/schemas/ids/{id}", get(schemas::by_id))
        .route("/schemas/ids/{id}/schema", get(schemas::text_by_id))
        .route("/schemas/ids/{id}/subjects", get(schemas::subjects_of))
        .route("/schemas/ids/{id}/versions", get(schemas::versions_of))
        .route("/subjects", get(subjects::list))
        .route(
            "/subjects/{subject}",
            post(subjects::lookup).delete(subjects::delete),
        )
        .route(
            "/subjects/{subject}/versions",
            get(subjects::versions).post(subjects::register),
        )
        .route(
            "/subjects/{subject}/versions/{version}",
            get(subjects::version).delete(subjects::delete_version),
        )
        .route(
            "/subjects/{subject}/versions/{version}/schema",
            get(subjects::version_text),
        )
        .route(
            "/subjects/{subject}/versions/{version}/referencedby",
            get(subjects::referenced_by),
        )
        .route(
            "/compatibility/subjects/{subject}/versions",
            post(subjects::compatible_with_all),
        )
        .route(
            "/compatibility/subjects/{subject}/versions/{version}",
            post(subjects::compatible_with),
        )
        .route(
            "/config",
            get(config::level_of_all)
                .put(config::set_level_of_all)
                .delete(config::unset_level_of_all),
        )
        .route(
            "/config/{subject}",
            get(config::level)
                .put(config::set_level)
                .delete(config::unset_level),
        )
        .route(
            "/mode",
            get(config::mode_of_all)
                .put(config::set_mode_of_all)
                .delete(config::unset_mode_of_all),
        )
        .route(
            "/mode/{subject}",
            get(config::mode)
                .put(config::set_mode)
                .delete(config::unset_mode),
        )
        .fallback(no_route)
        .with_state(service)
}

async fn root() -> Answer {
    Answer::json(&json!({}))
}

async fn contexts() -> Answer {
    // Contexts are a multi-tenancy feature that is not offered: there is the default one.
    Answer::json(&json!(["."]))
}

async fn cluster_id() -> Answer {
    Answer::json(&json!({"scope": {"path": [], "clusters": {}}, "id": ""}))
}

async fn no_route() -> Failure {
    Failure::new(404, 404, "HTTP 404 Not Found")
}

/// Runs a write off the async threads, since it waits for the log.
async fn write<T: Send + 'static>(
    service: Arc<RegistryService>,
    plan: impl FnOnce(&Registry) -> Result<(T, Option<RegistryChange>), RegistryRefusal>
    + Send
    + 'static,
) -> Result<T, Failure> {
    let written = tokio::task::spawn_blocking(move || service.write(plan)).await;
    match written {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Failure::new(500, 50001, "the change was not stored")),
    }
}
