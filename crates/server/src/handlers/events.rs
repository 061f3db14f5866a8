//! `POST /v1/events`.

use crate::app::App;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Params, RawBody};
use crate::wire::event_batch;
use crate::wire::event_receipt::{self, EventsReceipt};
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use nowcast_engine::ingest::device_class;
use nowcast_types::DeviceClass;
use serde::Deserialize;
use utoipa::IntoParams;

/// Query of the writing routes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct WaitParams {
    /// `applied`: answer only when the next recommendation will see the change.
    pub wait: Option<Wait>,
}

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// Until the views show the change.
    Applied,
}

/// Takes events in: one object, an array, or one object a line.
///
/// A 2xx means that every event listed as accepted survives a crash and a power loss.
#[utoipa::path(
    post, path = "/v1/events", tag = "events", params(WaitParams),
    request_body(
        description = "One event, an array of events, or one event a line (application/x-ndjson); gzip and zstd too",
        content = crate::openapi::EventIn
    ),
    responses(
        (status = 200, description = "All are durable (a single event is answered by its own line)", body = EventsReceipt),
        (status = 207, description = "Some are durable, some were refused", body = EventsReceipt),
        (status = 400, description = "None was accepted", body = ErrorBody),
        (status = 408, description = "The body took too long", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 415, description = "Not JSON, or packed in an unknown way", body = ErrorBody),
        (status = 422, description = "A single event was too old or too far ahead", body = ErrorBody),
        (status = 429, description = "Too many requests of this key", body = ErrorBody),
        (status = 503, description = "Too busy; send it again", body = ErrorBody),
    )
)]
pub async fn ingest(
    State(app): State<App>,
    Params(params): Params<WaitParams>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Response, ApiError> {
    let engine = app.engine();
    let layout = event_batch::layout(&headers)?;
    let batch = event_batch::parse(&body, layout, engine.limits().batch_events_max)?;
    let arrival = engine.arrival(device(&headers));
    let outcome = engine.ingest(&batch.drafts, &arrival).await;
    let applied = match params.wait {
        None => None,
        Some(Wait::Applied) => Some(engine.wait_applied(&outcome.ends).await),
    };
    if batch.is_single {
        return event_receipt::single(&outcome, &batch.unreadable, applied);
    }
    Ok(event_receipt::batch(&outcome, &batch.unreadable, applied))
}

/// The class of the device that sent the request.
pub(crate) fn device(headers: &HeaderMap) -> DeviceClass {
    headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .map_or(DeviceClass::Unknown, device_class)
}
