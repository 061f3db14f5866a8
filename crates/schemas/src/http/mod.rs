//! The built-in registry over HTTP: the REST API of the Confluent Schema Registry.
//!
//! [`ROUTES`] is a table of handlers, each with what a caller must be allowed; authentication,
//! limits and metrics belong to the server that mounts them, at `/` or below a prefix.

mod answers;
mod config;
mod schemas;
mod subjects;

use crate::registry::{Registry, RegistryChange, RegistryRefusal, RegistryService};
use answers::{Answer, Failure};
use axum::Router;
use axum::extract::State;
use axum::http::Method;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, delete, get, post, put};
use serde_json::json;
use std::sync::Arc;

/// What every handler works on.
type Service = State<Arc<RegistryService>>;

/// What a caller must be allowed to do to use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Look schemas up and try them.
    Read,
    /// Add versions to subjects, as producers do.
    Register,
    /// Delete, and set compatibility and mode.
    Administer,
}

/// One route of the API.
pub struct RegistryRoute {
    /// The method.
    pub method: Method,
    /// The path below where the registry is mounted.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    /// What it does, in a few words.
    pub summary: &'static str,
    handler: fn() -> MethodRouter<Arc<RegistryService>>,
}

impl RegistryRoute {
    /// The route's handler on a registry.
    pub fn on(&self, service: &Arc<RegistryService>) -> MethodRouter {
        (self.handler)().with_state(Arc::clone(service))
    }
}

const fn route(
    method: Method,
    path: &'static str,
    access: Access,
    summary: &'static str,
    handler: fn() -> MethodRouter<Arc<RegistryService>>,
) -> RegistryRoute {
    RegistryRoute {
        method,
        path,
        access,
        summary,
        handler,
    }
}

use Access::{Administer, Read, Register};

/// Every route of the API.
#[rustfmt::skip]
pub const ROUTES: [RegistryRoute; 32] = [
    route(Method::GET, "/", Read, "An empty object: the registry is there", || get(root)),
    route(Method::GET, "/contexts", Read, "The contexts: the default one", || get(contexts)),
    route(Method::GET, "/v1/metadata/id", Read, "The cluster's id: empty", || get(cluster_id)),
    route(Method::GET, "/schemas", Read, "All versions of all subjects", || get(schemas::list)),
    route(Method::GET, "/schemas/types", Read, "The schema languages", || get(schemas::types)),
    route(Method::GET, "/schemas/ids/{id}", Read, "A schema by its id", || get(schemas::by_id)),
    route(Method::GET, "/schemas/ids/{id}/schema", Read, "The text of a schema", || get(schemas::text_by_id)),
    route(Method::GET, "/schemas/ids/{id}/subjects", Read, "The subjects that have a schema", || get(schemas::subjects_of)),
    route(Method::GET, "/schemas/ids/{id}/versions", Read, "The versions that have a schema", || get(schemas::versions_of)),
    route(Method::GET, "/subjects", Read, "The names of the subjects", || get(subjects::list)),
    route(Method::POST, "/subjects/{subject}", Read, "The version that has a given schema", || post(subjects::lookup)),
    route(Method::DELETE, "/subjects/{subject}", Administer, "Delete a subject, softly or for good", || delete(subjects::delete)),
    route(Method::GET, "/subjects/{subject}/versions", Read, "The versions of a subject", || get(subjects::versions)),
    route(Method::POST, "/subjects/{subject}/versions", Register, "Register a schema", || post(subjects::register)),
    route(Method::GET, "/subjects/{subject}/versions/{version}", Read, "A version, or `latest`", || get(subjects::version)),
    route(Method::DELETE, "/subjects/{subject}/versions/{version}", Administer, "Delete a version, softly or for good", || delete(subjects::delete_version)),
    route(Method::GET, "/subjects/{subject}/versions/{version}/schema", Read, "The text of a version", || get(subjects::version_text)),
    route(Method::GET, "/subjects/{subject}/versions/{version}/referencedby", Read, "Ids of schemas that refer to a version", || get(subjects::referenced_by)),
    route(Method::POST, "/compatibility/subjects/{subject}/versions", Read, "Whether a schema goes with the subject", || post(subjects::compatible_with_all)),
    route(Method::POST, "/compatibility/subjects/{subject}/versions/{version}", Read, "Whether a schema goes with a version", || post(subjects::compatible_with)),
    route(Method::GET, "/config", Read, "The compatibility level of all", || get(config::level_of_all)),
    route(Method::PUT, "/config", Administer, "Set the level of all", || put(config::set_level_of_all)),
    route(Method::DELETE, "/config", Administer, "Take the level of all back", || delete(config::unset_level_of_all)),
    route(Method::GET, "/config/{subject}", Read, "The compatibility level of a subject", || get(config::level)),
    route(Method::PUT, "/config/{subject}", Administer, "Set the level of a subject", || put(config::set_level)),
    route(Method::DELETE, "/config/{subject}", Administer, "Take the level of a subject back", || delete(config::unset_level)),
    route(Method::GET, "/mode", Read, "The mode of all", || get(config::mode_of_all)),
    route(Method::PUT, "/mode", Administer, "Set the mode of all", || put(config::set_mode_of_all)),
    route(Method::DELETE, "/mode", Administer, "Take the mode of all back", || delete(config::unset_mode_of_all)),
    route(Method::GET, "/mode/{subject}", Read, "The mode of a subject", || get(config::mode)),
    route(Method::PUT, "/mode/{subject}", Administer, "Set the mode of a subject", || put(config::set_mode)),
    route(Method::DELETE, "/mode/{subject}", Administer, "Take the mode of a subject back", || delete(config::unset_mode)),
];

/// The routes of the API on a registry, without any policy.
pub fn router(service: &Arc<RegistryService>) -> Router {
    let mut router = Router::new();
    for route in &ROUTES {
        router = router.route(route.path, route.on(service));
    }
    router.fallback(no_route)
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

/// The answer to a path below the registry that it does not know.
pub async fn no_route() -> impl IntoResponse {
    Failure::new(404, 404, "HTTP 404 Not Found")
}

/// Runs a write off the async threads, since it waits for the log.
async fn write<T: Send + 'static>(
    service: Arc<RegistryService>,
    plan: impl Fn(&Registry) -> Result<(T, Option<RegistryChange>), RegistryRefusal> + Send + 'static,
) -> Result<T, Failure> {
    let written = tokio::task::spawn_blocking(move || service.write(plan)).await;
    match written {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Failure::new(500, 50001, "the change was not stored")),
    }
}
