//! What handlers take from a request, with our errors in place of the framework's.

use crate::app::App;
use crate::body::read_body;
use crate::error::ApiError;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use bytes::Bytes;
use nowcast_engine::ingest::rules::{check_id, check_nesting};
use nowcast_types::{Refusal, RefusalCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The one id of the path, checked.
#[derive(Debug)]
pub struct Id(pub String);

/// The query string.
#[derive(Debug)]
pub struct Params<T>(pub T);

/// The whole body, unpacked and bounded.
#[derive(Debug)]
pub struct RawBody(pub Bytes);

/// The body as a JSON value, bounded in size and depth.
#[derive(Debug)]
pub struct JsonBody(pub Value);

impl FromRequestParts<App> for Id {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Path(id) = Path::<String>::from_request_parts(parts, app)
            .await
            .map_err(|rejection: PathRejection| {
                let expected = rejection.body_text();
                ApiError::refusal(&Refusal::new(RefusalCode::Malformed, "id", expected))
            })?;
        check_id("id", &id, app.engine().limits().id_bytes_max)
            // It may be a user's: it is not repeated.
            .map_err(|refusal| {
                ApiError::refusal(&Refusal {
                    value: None,
                    ..refusal
                })
            })?;
        Ok(Self(id))
    }
}

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Query(params) = Query::<T>::from_request_parts(parts, app).await.map_err(
            |rejection: QueryRejection| {
                let expected = rejection.body_text();
                ApiError::refusal(&Refusal::new(RefusalCode::Malformed, "query", expected))
            },
        )?;
        Ok(Self(params))
    }
}

impl FromRequest<App> for RawBody {
    type Rejection = ApiError;
    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes_max = app.engine().limits().body_bytes_max.bytes();
        let timeout = app.config().body_timeout.duration();
        Ok(Self(
            read_body(&parts.headers, body, bytes_max, timeout).await?,
        ))
    }
}

impl FromRequest<App> for JsonBody {
    type Rejection = ApiError;
    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let RawBody(bytes) = RawBody::from_request(request, app).await?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| ApiError::refusal(&Refusal::new(RefusalCode::Malformed, "", "UTF-8")))?;
        // Two levels of our own surround what the limit is about: a list, and an object in it.
        check_nesting("", text, app.engine().limits().nesting_max + 2)
            .map_err(|refusal| ApiError::refusal(&refusal))?;
        parse_json(text).map(Self)
    }
}

/// Parses JSON, naming the place where it breaks.
///
/// # Errors
/// 400 with the line and column.
pub fn parse_json<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, ApiError> {
    serde_json::from_str(text).map_err(|error| {
        let expected = if error.is_data() {
            error.to_string()
        } else {
            format!(
                "valid JSON; it breaks at line {} column {}",
                error.line(),
                error.column()
            )
        };
        let code = if error.is_data() {
            RefusalCode::WrongType
        } else {
            RefusalCode::Malformed
        };
        ApiError::refusal(&Refusal::new(code, "", expected))
    })
}
