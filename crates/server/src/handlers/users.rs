//! `/v1/users`: what is known of a user, told by the site or learnt, and how to forget it.

use super::events::{Wait, WaitParams};
use crate::app::App;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Id, JsonBody, Params};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use nowcast_engine::{EngineError, Profile};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Answer to a change of a user.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserReceipt {
    /// The user's pseudonym; the raw id is stored nowhere.
    pub user_key: String,
    /// Whether the next recommendation follows the change.
    pub applied: bool,
}

/// Proof of an erasure.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErasureOut {
    /// The pseudonym whose data were erased.
    pub user_key: String,
    /// When it was asked for, in milliseconds since 1970.
    pub erased_at: i64,
    /// Partition of the event log that records the erasure.
    pub partition: u16,
    /// Its offset there.
    pub offset: u64,
    /// Whether every view is already empty; false only if it took long, the erasure is durable.
    pub applied: bool,
}

/// Whose profile is asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ProfileParams {
    /// `session`: the id is the session id of a visitor without a user id.
    pub by: Option<SubjectKind>,
    /// Most recent interactions shown, 50 if absent.
    pub history: Option<usize>,
}

/// Kinds of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A user id.
    User,
    /// A session id.
    Session,
}

const HISTORY_SHOWN: usize = 50;

/// Creates or replaces a user's record: segment and attributes.
#[utoipa::path(
    put, path = "/v1/users/{id}", tag = "users",
    params(("id" = String, Path, description = "The raw user id"), WaitParams),
    request_body = crate::openapi::UserIn,
    responses(
        (status = 200, description = "Durable", body = UserReceipt),
        (status = 400, description = "A field breaks a rule", body = ErrorBody),
    )
)]
pub async fn put(
    State(app): State<App>,
    Id(id): Id,
    Params(params): Params<WaitParams>,
    JsonBody(record): JsonBody,
) -> Result<Json<UserReceipt>, ApiError> {
    change(&app, &id, &record, false, params.wait).await
}

/// Changes some fields of a user's record; `null` removes one.
#[utoipa::path(
    patch, path = "/v1/users/{id}", tag = "users",
    params(("id" = String, Path, description = "The raw user id"), WaitParams),
    request_body = crate::openapi::UserIn,
    responses(
        (status = 200, description = "Durable", body = UserReceipt),
        (status = 400, description = "A field breaks a rule", body = ErrorBody),
    )
)]
pub async fn patch(
    State(app): State<App>,
    Id(id): Id,
    Params(params): Params<WaitParams>,
    JsonBody(record): JsonBody,
) -> Result<Json<UserReceipt>, ApiError> {
    change(&app, &id, &record, true, params.wait).await
}

async fn change(
    app: &App,
    id: &str,
    record: &serde_json::Value,
    is_patch: bool,
    wait: Option<Wait>,
) -> Result<Json<UserReceipt>, ApiError> {
    let engine = app.engine();
    let (user, stored) = engine.change_user(id, record, is_patch).await?;
    let applied = match wait {
        Some(Wait::Applied) => {
            engine
                .wait_applied(&[(stored.partition, stored.offset + 1)])
                .await
        }
        None => engine.is_applied(stored),
    };
    Ok(Json(UserReceipt {
        user_key: user.to_string(),
        applied,
    }))
}

/// Forgets a user: an event that empties every view of that user.
#[utoipa::path(
    delete, path = "/v1/users/{id}", tag = "users",
    params(("id" = String, Path, description = "The raw user id"), ProfileParams),
    responses((status = 200, description = "Durable; the receipt of the erasure", body = ErasureOut))
)]
pub async fn delete(
    State(app): State<App>,
    Id(id): Id,
    Params(params): Params<ProfileParams>,
) -> Result<Json<ErasureOut>, ApiError> {
    let engine = app.engine();
    let is_visitor = params.by == Some(SubjectKind::Session);
    let receipt = engine.erase(&id, is_visitor).await?;
    Ok(Json(ErasureOut {
        user_key: receipt.user.to_string(),
        erased_at: receipt.at.0,
        partition: receipt.stored.partition.0,
        offset: receipt.stored.offset,
        applied: receipt.applied,
    }))
}

/// Shows what is known of a user: history, session, affinity, features.
#[utoipa::path(
    get, path = "/v1/users/{id}/profile", tag = "users",
    params(("id" = String, Path, description = "The raw user id"), ProfileParams),
    responses(
        (status = 200, description = "The profile as of the last event folded", body = crate::openapi::ProfileOut),
        (status = 404, description = "Nothing is known of this user", body = ErrorBody),
    )
)]
pub async fn profile(
    State(app): State<App>,
    Id(id): Id,
    Params(params): Params<ProfileParams>,
    _headers: HeaderMap,
) -> Result<Json<Profile>, ApiError> {
    let is_visitor = params.by == Some(SubjectKind::Session);
    let history_max = params.history.unwrap_or(HISTORY_SHOWN);
    let profile = app.engine().profile(&id, is_visitor, history_max)?;
    // The id is personal: it is not repeated.
    profile.map(Json).ok_or_else(|| {
        ApiError::from(EngineError::NotFound {
            what: "profile",
            id: String::new(),
        })
    })
}
