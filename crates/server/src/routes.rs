//! The table of routes: one line each, with its policy. The router is built from nothing else, so
//! a route without a policy cannot exist.

use crate::app::{App, Lane};
use crate::error::ApiError;
use crate::guard::{Policy, guard};
use crate::handlers::{
    catalogue, dead_letters, documents, events, features, health, lists, recommendations, sessions,
    users,
};
use crate::keys::Scope;
use axum::Router;
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use nowcast_intake::DeadLetters;
use nowcast_schemas::RegistryService;
use nowcast_schemas::http::{self, Access};
use nowcast_sessions::SessionStore;
use std::sync::Arc;

/// One route.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with `{id}` for its parameter.
    pub path: &'static str,
    /// Who may use it and whose places it takes.
    pub policy: Policy,
    handler: fn() -> MethodRouter<App>,
}

const fn route(
    method: Method,
    path: &'static str,
    scope: Option<Scope>,
    lane: Lane,
    handler: fn() -> MethodRouter<App>,
) -> Route {
    Route {
        method,
        path,
        policy: Policy { scope, lane },
        handler,
    }
}

const READ: Option<Scope> = Some(Scope::Read);
const WRITE: Option<Scope> = Some(Scope::Write);
const ADMIN: Option<Scope> = Some(Scope::Admin);
const ANYBODY: Option<Scope> = None;

/// Every route of the API.
#[rustfmt::skip]
pub const ROUTES: [Route; 25] = [
    route(Method::POST, "/v1/events", WRITE, Lane::Ingest, || post(events::ingest)),
    route(Method::POST, "/v1/items", ADMIN, Lane::Ingest, || post(catalogue::bulk)),
    route(Method::PUT, "/v1/items/{id}", ADMIN, Lane::Ingest, || put(catalogue::put)),
    route(Method::PATCH, "/v1/items/{id}", ADMIN, Lane::Ingest, || patch(catalogue::patch)),
    route(Method::DELETE, "/v1/items/{id}", ADMIN, Lane::Ingest, || delete(catalogue::delete)),
    route(Method::GET, "/v1/items/{id}", READ, Lane::Serve, || get(catalogue::get)),
    route(Method::PUT, "/v1/users/{id}", ADMIN, Lane::Ingest, || put(users::put)),
    route(Method::PATCH, "/v1/users/{id}", ADMIN, Lane::Ingest, || patch(users::patch)),
    route(Method::DELETE, "/v1/users/{id}", ADMIN, Lane::Ingest, || delete(users::delete)),
    route(Method::GET, "/v1/users/{id}/profile", READ, Lane::Serve, || get(users::profile)),
    route(Method::PUT, "/v1/sessions/{id}/attributes", WRITE, Lane::Ingest, || put(sessions::put)),
    route(Method::POST, "/v1/recommendations", READ, Lane::Serve, || post(recommendations::recommend)),
    route(Method::GET, "/v1/items/{id}/similar", READ, Lane::Serve, || get(lists::similar)),
    route(Method::GET, "/v1/trending", READ, Lane::Serve, || get(lists::trending)),
    route(Method::GET, "/v1/features", READ, Lane::Serve, || get(features::features)),
    route(Method::GET, "/v1/dead-letters", ADMIN, Lane::Serve, || get(dead_letters::list)),
    route(Method::GET, "/v1/dead-letters/{offset}", ADMIN, Lane::Serve, || get(dead_letters::show)),
    route(Method::POST, "/v1/dead-letters/replay", ADMIN, Lane::Ingest, || post(dead_letters::replay)),
    route(Method::GET, "/v1/status", READ, Lane::Control, || get(health::status)),
    route(Method::GET, "/healthz", ANYBODY, Lane::Control, || get(health::healthz)),
    route(Method::GET, "/readyz", ANYBODY, Lane::Control, || get(health::readyz)),
    route(Method::GET, "/metrics", READ, Lane::Control, || get(health::metrics)),
    route(Method::GET, "/openapi.json", ANYBODY, Lane::Control, || get(documents::openapi_json)),
    route(Method::GET, "/docs", ANYBODY, Lane::Control, || get(documents::docs)),
    route(Method::GET, "/", ANYBODY, Lane::Control, || get(documents::console)),
];

/// The policy of routes that another part of the process adds: for readers only.
const EXTENSION_POLICY: Policy = Policy {
    scope: READ,
    lane: Lane::Control,
};

/// What is served beside the API.
#[derive(Default)]
pub struct Beside {
    /// Routes of another part of the process, for readers only.
    pub extension: Router,
    /// The built-in schema registry.
    pub registry: Option<Mounted>,
    /// The dead letters, with what is known of topics; if absent, those of the engine alone.
    pub dead_letters: Option<Arc<DeadLetters>>,
    /// Attributes of sessions, if they are kept.
    pub sessions: Option<Arc<SessionStore>>,
}

/// A schema registry and its place.
#[derive(Clone)]
pub struct Mounted {
    /// The path that the registry's own paths follow, such as `/registry`.
    pub path: String,
    /// The registry.
    pub service: Arc<RegistryService>,
}

/// The policy of a route of the schema registry.
const fn registry_policy(access: Access) -> Policy {
    let (scope, lane) = match access {
        Access::Read => (READ, Lane::Serve),
        Access::Register => (WRITE, Lane::Ingest),
        Access::Administer => (ADMIN, Lane::Ingest),
    };
    Policy { scope, lane }
}

fn mount(app: &App, registry: &Mounted) -> Router {
    let mut router = Router::new();
    for route in &http::ROUTES {
        let state = (app.clone(), registry_policy(route.access));
        let handler = route.on(&registry.service);
        router = router.route(
            route.path,
            handler.route_layer(from_fn_with_state(state, guard)),
        );
    }
    Router::new().nest(&registry.path, router.fallback(http::no_route))
}

/// Builds the router of [`ROUTES`], and of what is `beside` them.
pub fn router(app: &App, beside: Beside) -> Router {
    let Beside {
        extension,
        registry,
        dead_letters: _,
        sessions: _,
    } = beside;
    let mut router = Router::new();
    for route in ROUTES {
        let state = (app.clone(), route.policy);
        let handler = (route.handler)().route_layer(from_fn_with_state(state, guard));
        router = router.route(route.path, handler);
    }
    let mut router = router.with_state(app.clone());
    if extension.has_routes() {
        let state = (app.clone(), EXTENSION_POLICY);
        router = router.merge(extension.route_layer(from_fn_with_state(state, guard)));
    }
    if let Some(registry) = registry {
        router = router.merge(mount(app, &registry));
    }
    router
        .fallback(|| async { ApiError::not_found("there is nothing at this address; see /docs") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this address does not know this method; see /docs",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_and_the_table_name_the_same_routes() {
        let table: BTreeSet<(String, String)> = ROUTES
            .iter()
            .map(|route| (route.path.to_owned(), route.method.as_str().to_lowercase()))
            .collect();
        let document = serde_json::to_value(crate::openapi::document()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let mut paths = document["paths"].as_object().unwrap().clone();
        paths.retain(|path, _| !path.starts_with("/registry"));
        let documented: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(move |method| (path.clone(), method.clone()))
            })
            .collect();
        assert_eq!(table, documented);
        assert_eq!(table.len(), ROUTES.len(), "no line is there twice");
    }

    #[test]
    fn the_document_names_every_route_of_the_registry() {
        let document = serde_json::to_value(crate::openapi::document()).unwrap();
        for route in &http::ROUTES {
            let path = match route.path {
                "/" => "/registry".to_owned(),
                path => format!("/registry{path}"),
            };
            let method = route.method.as_str().to_lowercase();
            assert!(document["paths"][&path][&method].is_object(), "{path}");
            let is_write = matches!(route.method, Method::PUT | Method::DELETE);
            let scope = registry_policy(route.access).scope;
            assert!(!is_write || scope == ADMIN, "{path}");
        }
    }

    #[test]
    fn every_writing_route_needs_a_key_when_there_are_keys() {
        for route in &ROUTES {
            let writes = route.method != Method::GET;
            let asks = route.path == "/v1/recommendations";
            let scope = route.policy.scope;
            if writes && !asks {
                assert!(
                    matches!(scope, Some(Scope::Write | Scope::Admin)),
                    "{}",
                    route.path
                );
            }
            if route.path.starts_with("/v1/") || route.path == "/metrics" {
                assert!(scope.is_some(), "{}", route.path);
            }
        }
    }
}
