//! Is it alive, is it ready, how is it doing.

use crate::app::App;
use crate::error::{ApiError, ErrorBody};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use nowcast_engine::{Readiness, Status};
use serde::Serialize;
use utoipa::ToSchema;

/// Answer of the two health routes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or what is going on.
    pub status: String,
}

fn ok() -> Json<Health> {
    Json(Health {
        status: "ok".to_owned(),
    })
}

/// The process is alive. It depends on nothing.
#[utoipa::path(get, path = "/healthz", tag = "operations",
    responses((status = 200, description = "Alive", body = Health)))]
pub async fn healthz() -> Json<Health> {
    ok()
}

/// Answers reflect what has happened. Until then the server answers too, from lower rungs.
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses(
        (status = 200, description = "Ready", body = Health),
        (status = 503, description = "Restoring, replaying, failed or stopping", body = ErrorBody),
    ))]
pub async fn readyz(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    if app.is_draining() {
        return Err(ApiError::unavailable("stopping", 5));
    }
    match app.engine().readiness() {
        Readiness::Live => Ok(ok()),
        // Another instance would have the same log: answers go on, from the last state.
        Readiness::Stalled(reason) => Ok(Json(Health {
            status: format!("answering from the last state: {reason}"),
        })),
        Readiness::Restoring => Err(ApiError::unavailable("restoring checkpoints", 1)),
        Readiness::Replaying { records } => Err(ApiError::unavailable(
            format!("replaying the log, {records} records to go"),
            1,
        )),
        Readiness::Failed(reason) => Err(ApiError::unavailable(reason, 30)),
    }
}

/// Everything measured, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "Prometheus text format", body = String, content_type = "text/plain")))]
pub async fn metrics(State(app): State<App>) -> Response {
    let text = app.engine().render_metrics();
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

/// Rates, freshness, lag, positions, models and click-through rates at a glance.
#[utoipa::path(get, path = "/v1/status", tag = "operations",
    responses((status = 200, description = "How it is doing", body = crate::openapi::StatusOut)))]
pub async fn status(State(app): State<App>) -> Json<Status> {
    Json(app.engine().status())
}
