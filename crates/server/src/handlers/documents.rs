//! What people look at: the console, the API's description and the page that renders it.

use crate::openapi;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use std::sync::LazyLock;

static OPENAPI_JSON: LazyLock<String> = LazyLock::new(|| {
    openapi::document()
        .to_pretty_json()
        .expect("the document is plain data")
});

/// The console.
#[utoipa::path(get, path = "/", tag = "documents",
    responses((status = 200, description = "The console page", body = String, content_type = "text/html")))]
pub async fn console() -> Html<&'static str> {
    Html(include_str!("../../assets/index.html"))
}

/// This API, as OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "documents",
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json")))]
pub async fn openapi_json() -> Response {
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    (content_type, OPENAPI_JSON.as_str()).into_response()
}

/// This API, to read.
#[utoipa::path(get, path = "/docs", tag = "documents",
    responses((status = 200, description = "The rendered description", body = String, content_type = "text/html")))]
pub async fn docs() -> Html<&'static str> {
    Html(include_str!("../../assets/docs.html"))
}
