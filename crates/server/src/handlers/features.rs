//! `GET /v1/features`: what the feature views say now.

use crate::app::App;
use crate::error::{ApiError, ErrorBody};
use crate::extract::Params;
use axum::Json;
use axum::extract::State;
use nowcast_engine::{FeatureCall, FeatureReport};
use serde::Deserialize;
use utoipa::IntoParams;

/// Whose features are asked for. Without any id: the global ones.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct FeatureParams {
    /// A raw user id.
    pub user_id: Option<String>,
    /// An item.
    pub item_id: Option<String>,
    /// A category.
    pub category: Option<String>,
    /// A segment; with an item, the item within the segment too.
    pub segment: Option<String>,
    /// Names of views, comma-separated; all that fit if absent.
    pub views: Option<String>,
}

/// Shows the present value of feature views for a user, an item, a category or a segment.
#[utoipa::path(
    get, path = "/v1/features", tag = "features", params(FeatureParams),
    responses(
        (status = 200, description = "One entry per view that fits the ids given", body = crate::openapi::FeaturesOut),
        (status = 404, description = "There is no such view", body = ErrorBody),
    )
)]
pub async fn features(
    State(app): State<App>,
    Params(params): Params<FeatureParams>,
) -> Result<Json<FeatureReport>, ApiError> {
    let views: Option<Vec<&str>> = params
        .views
        .as_deref()
        .map(|names| names.split(',').map(str::trim).collect());
    let report = app.engine().features(&FeatureCall {
        user_id: params.user_id.as_deref(),
        item_id: params.item_id.as_deref(),
        category: params.category.as_deref(),
        segment: params.segment.as_deref(),
        views: views.as_deref(),
    })?;
    Ok(Json(report))
}
