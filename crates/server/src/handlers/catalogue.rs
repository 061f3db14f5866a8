//! `/v1/items`: what can be recommended.

use super::events::{Wait, WaitParams};
use crate::app::App;
use crate::error::{ApiError, ErrorBody, ErrorDetail};
use crate::extract::{Id, JsonBody, Params};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use nowcast_engine::{EngineError, Stored};
use nowcast_types::{Item, Refusal, RefusalCode};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Answer to a change.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeReceipt {
    /// The item.
    pub item_id: String,
    /// Whether recommendations already follow the change; false only if it took long.
    pub applied: bool,
}

/// Answer to a body of many items.
#[derive(Debug, Serialize, ToSchema)]
pub struct BulkReceipt {
    /// Items that are durable now.
    pub accepted: usize,
    /// Items that broke a rule.
    pub refused: usize,
    /// Whether recommendations already follow all changes; only with `?wait=applied`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<bool>,
    /// The refused ones.
    pub errors: Vec<BulkError>,
}

/// One refused item.
#[derive(Debug, Serialize, ToSchema)]
pub struct BulkError {
    /// Place in the request, from 0.
    pub index: usize,
    /// Why.
    pub error: ErrorDetail,
}

/// An item as it stands in the catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub struct ItemOut {
    /// The item's id.
    pub item_id: String,
    /// Its fields.
    #[serde(flatten)]
    #[schema(value_type = crate::openapi::ItemIn)]
    pub item: Item,
}

/// Creates or replaces an item.
#[utoipa::path(
    put, path = "/v1/items/{id}", tag = "items",
    params(("id" = String, Path, description = "The item's id"), WaitParams),
    request_body = crate::openapi::ItemIn,
    responses(
        (status = 200, description = "Durable", body = ChangeReceipt),
        (status = 400, description = "A field breaks a rule", body = ErrorBody),
    )
)]
pub async fn put(
    State(app): State<App>,
    Id(id): Id,
    Params(params): Params<WaitParams>,
    JsonBody(item): JsonBody,
) -> Result<Json<ChangeReceipt>, ApiError> {
    let stored = app.engine().put_item(&id, &item).await?;
    receipt(&app, id, stored, params.wait).await
}

/// Changes some fields of an item, by JSON merge patch (RFC 7396).
#[utoipa::path(
    patch, path = "/v1/items/{id}", tag = "items",
    params(("id" = String, Path, description = "The item's id"), WaitParams),
    request_body = crate::openapi::ItemIn,
    responses(
        (status = 200, description = "Durable", body = ChangeReceipt),
        (status = 400, description = "A field breaks a rule", body = ErrorBody),
        (status = 404, description = "There is no such item", body = ErrorBody),
    )
)]
pub async fn patch(
    State(app): State<App>,
    Id(id): Id,
    Params(params): Params<WaitParams>,
    JsonBody(changes): JsonBody,
) -> Result<Json<ChangeReceipt>, ApiError> {
    let stored = app.engine().patch_item(&id, &changes).await?;
    receipt(&app, id, stored, params.wait).await
}

/// Removes an item from the catalogue: it is never recommended again.
#[utoipa::path(
    delete, path = "/v1/items/{id}", tag = "items",
    params(("id" = String, Path, description = "The item's id"), WaitParams),
    responses((status = 200, description = "Durable, also if there was no such item", body = ChangeReceipt))
)]
pub async fn delete(
    State(app): State<App>,
    Id(id): Id,
    Params(params): Params<WaitParams>,
) -> Result<Json<ChangeReceipt>, ApiError> {
    let stored = app.engine().delete_item(&id).await?;
    receipt(&app, id, stored, params.wait).await
}

async fn receipt(
    app: &App,
    item_id: String,
    stored: Stored,
    wait: Option<Wait>,
) -> Result<Json<ChangeReceipt>, ApiError> {
    let applied = match wait {
        Some(Wait::Applied) => app.engine().wait_catalog(stored).await,
        None => app.engine().is_catalog_applied(stored),
    };
    Ok(Json(ChangeReceipt { item_id, applied }))
}

/// Shows an item.
#[utoipa::path(
    get, path = "/v1/items/{id}", tag = "items",
    params(("id" = String, Path, description = "The item's id")),
    responses(
        (status = 200, description = "The item as it stands", body = ItemOut),
        (status = 404, description = "There is no such item", body = ErrorBody),
    )
)]
pub async fn get(State(app): State<App>, Id(id): Id) -> Result<Json<ItemOut>, ApiError> {
    match app.engine().item(&id) {
        Some(item) => Ok(Json(ItemOut { item_id: id, item })),
        None => Err(ApiError::from(EngineError::no_item(&id))),
    }
}

/// Creates or replaces many items: an array of items, each with its `item_id`.
#[utoipa::path(
    post, path = "/v1/items", tag = "items", params(WaitParams),
    request_body = Vec<crate::openapi::BulkItemIn>,
    responses(
        (status = 200, description = "All are durable", body = BulkReceipt),
        (status = 207, description = "Some are durable, some were refused", body = BulkReceipt),
        (status = 400, description = "None was accepted", body = ErrorBody),
        (status = 413, description = "Too many items or too large a body", body = ErrorBody),
    )
)]
pub async fn bulk(
    State(app): State<App>,
    Params(params): Params<WaitParams>,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    let Value::Array(entries) = body else {
        let expected = "an array of items, each with its `item_id`";
        let refusal = Refusal::new(RefusalCode::WrongType, "", expected);
        return Err(ApiError::refusal(&refusal));
    };
    let items_max = app.engine().limits().batch_events_max;
    if entries.len() > items_max {
        let expected = format!("at most {items_max} items in one request");
        return Err(ApiError::too_large(&expected));
    }
    let (mut readable, mut errors) = (Vec::with_capacity(entries.len()), Vec::new());
    for (index, entry) in entries.into_iter().enumerate() {
        match split(entry) {
            Ok((id, item)) => readable.push((index, id, Value::Object(item))),
            Err(refusal) => errors.push(bulk_error(index, &refusal)),
        }
    }
    let outcome = app.engine().put_items(&readable).await?;
    errors.extend(
        outcome
            .refused
            .iter()
            .map(|(index, refusal)| bulk_error(*index, refusal)),
    );
    errors.sort_by_key(|error| error.index);
    let applied = match (params.wait, outcome.last) {
        (Some(Wait::Applied), Some(last)) => Some(app.engine().wait_catalog(last).await),
        (Some(Wait::Applied), None) => Some(true),
        (None, _) => None,
    };
    let status = match (outcome.accepted, errors.is_empty()) {
        (_, true) => StatusCode::OK,
        (0, false) => StatusCode::BAD_REQUEST,
        (_, false) => StatusCode::MULTI_STATUS,
    };
    let receipt = BulkReceipt {
        accepted: outcome.accepted,
        refused: errors.len(),
        applied,
        errors,
    };
    if status == StatusCode::BAD_REQUEST {
        let error = ApiError::new(
            status,
            "all_refused",
            "no item of this request was accepted",
        );
        let mut body = serde_json::to_value(&receipt).unwrap_or_default();
        body["error"] = serde_json::to_value(error.detail()).unwrap_or_default();
        return Ok((status, Json(body)).into_response());
    }
    Ok((status, Json(receipt)).into_response())
}

fn split(entry: Value) -> Result<(String, Map<String, Value>), Refusal> {
    let Value::Object(mut fields) = entry else {
        return Err(Refusal::new(
            RefusalCode::WrongType,
            "",
            "an item as an object",
        ));
    };
    match fields.remove("item_id") {
        Some(Value::String(id)) => Ok((id, fields)),
        Some(other) => {
            Err(Refusal::new(RefusalCode::WrongType, "item_id", "a text").with_value(other))
        }
        None => Err(Refusal::new(
            RefusalCode::Missing,
            "item_id",
            "the item's id",
        )),
    }
}

fn bulk_error(index: usize, refusal: &Refusal) -> BulkError {
    BulkError {
        index,
        error: ErrorDetail::of_refusal(refusal),
    }
}
