//! Lists that are about an item or about everybody: similar and trending.

use super::recommendations::{AnswerOut, answer_out};
use super::waiting::beside_others;
use crate::app::App;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Id, Params};
use crate::guard::RequestId;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use nowcast_engine::{ListCall, ListSubject, TrendingScope};
use nowcast_types::{Refusal, RefusalCode};
use serde::Deserialize;
use utoipa::IntoParams;

/// How many items a list has unless asked otherwise.
pub(crate) const K_DEFAULT: usize = 10;

/// Query of `similar`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct SimilarParams {
    /// How many items, 10 if absent.
    pub k: Option<usize>,
    /// CEL expression over `item.*`; items for which it is not true are left out.
    pub filter: Option<String>,
}

/// Query of `trending`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct TrendingParams {
    /// Only within this category.
    pub category: Option<String>,
    /// Only among the users of this segment.
    pub segment: Option<String>,
    /// How many items, 10 if absent.
    pub k: Option<usize>,
    /// CEL expression over `item.*`; items for which it is not true are left out.
    pub filter: Option<String>,
}

/// Items like this one.
#[utoipa::path(
    get, path = "/v1/items/{id}/similar", tag = "recommendations",
    params(("id" = String, Path, description = "The item's id"), SimilarParams),
    responses(
        (status = 200, description = "Most similar first", body = AnswerOut),
        (status = 404, description = "There is no such item", body = ErrorBody),
    )
)]
pub async fn similar(
    State(app): State<App>,
    Extension(request_id): Extension<RequestId>,
    Id(id): Id,
    Params(params): Params<SimilarParams>,
) -> Result<Response, ApiError> {
    let call = ListCall {
        about: ListSubject::Similar(&id),
        k: params.k.unwrap_or(K_DEFAULT),
        filter: params.filter.as_deref(),
    };
    let engine = app.engine();
    let answer = beside_others(engine, || engine.list(&call))?;
    Ok(Json(answer_out(&request_id, None, &answer)).into_response())
}

/// What is popular now: among everybody, within a category or among a segment.
#[utoipa::path(
    get, path = "/v1/trending", tag = "recommendations", params(TrendingParams),
    responses(
        (status = 200, description = "Most popular first", body = AnswerOut),
        (status = 400, description = "A parameter breaks a rule", body = ErrorBody),
    )
)]
pub async fn trending(
    State(app): State<App>,
    Extension(request_id): Extension<RequestId>,
    Params(params): Params<TrendingParams>,
) -> Result<Response, ApiError> {
    let scope = match (&params.category, &params.segment) {
        (None, None) => TrendingScope::Global,
        (Some(category), None) => TrendingScope::Category(category),
        (None, Some(segment)) => TrendingScope::Segment(segment),
        (Some(_), Some(_)) => {
            let expected = "either a category or a segment";
            let refusal = Refusal::new(RefusalCode::OutOfRange, "segment", expected);
            return Err(ApiError::refusal(&refusal));
        }
    };
    let call = ListCall {
        about: ListSubject::Trending(scope),
        k: params.k.unwrap_or(K_DEFAULT),
        filter: params.filter.as_deref(),
    };
    let answer = app.engine().list(&call)?;
    Ok(Json(answer_out(&request_id, None, &answer)).into_response())
}
