//! `/v1/sessions`: what the site knows of a session, kept for as long as it lasts.

use crate::app::App;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Id, JsonBody};
use axum::Json;
use axum::extract::State;
use nowcast_sessions::{Attributes, SessionError};
use nowcast_types::{ErrorKind, Refusal, RefusalCode};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use utoipa::ToSchema;

/// What an answer calls attributes that did not come in time.
pub(crate) const COMPONENT: &str = "session_attributes";

/// Answer to a change of a session.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionReceipt {
    /// How many attributes the session has now.
    pub attributes: usize,
}

/// Replaces the attributes of a session, which become part of the `context` of its requests where
/// those do not say otherwise. `{}` forgets them; without another call they are forgotten after
/// `session.memcached.ttl`.
#[utoipa::path(
    put, path = "/v1/sessions/{id}/attributes", tag = "sessions",
    params(("id" = String, Path, description = "The raw session id")),
    request_body = Object,
    responses(
        (status = 200, description = "The next request sees them", body = SessionReceipt),
        (status = 400, description = "Not an object, or too large", body = ErrorBody),
        (status = 404, description = "Attributes of sessions are not kept", body = ErrorBody),
        (status = 503, description = "Their store is away", body = ErrorBody),
    )
)]
pub async fn put(
    State(app): State<App>,
    Id(id): Id,
    JsonBody(body): JsonBody,
) -> Result<Json<SessionReceipt>, ApiError> {
    let Some(sessions) = app.sessions() else {
        let message = "attributes of sessions are not kept; session.memcached.url says where";
        return Err(ApiError::not_found(message));
    };
    let Value::Object(attributes) = body else {
        let refusal = Refusal::new(RefusalCode::WrongType, "", "a JSON object");
        return Err(ApiError::refusal(&refusal));
    };
    let session = app.engine().pseudonymizer().session(&id);
    sessions.write(session, &attributes).await.map_err(failed)?;
    Ok(Json(SessionReceipt {
        attributes: attributes.len(),
    }))
}

fn failed(error: SessionError) -> ApiError {
    if error.kind() == ErrorKind::InvalidInput {
        let expected = error.to_string();
        return ApiError::refusal(&Refusal::new(RefusalCode::OutOfRange, "", expected));
    }
    tracing::warn!(%error, "attributes of a session were not stored");
    ApiError::unavailable("the store of session attributes is away", 1)
}

/// What is known of the moment of a request.
#[derive(Debug, Default)]
pub(crate) struct Moment {
    /// What the request says, over what is known of its session.
    pub(crate) context: Option<Attributes>,
    /// Whether what is known of its session did not come in time.
    pub(crate) is_incomplete: bool,
}

/// Completes the context of a request from the attributes of its session. Where they do not come in
/// time the request goes on without them.
pub(crate) async fn moment(
    app: &App,
    session_id: Option<&str>,
    said: Option<Attributes>,
    within: Duration,
) -> Moment {
    let (Some(sessions), Some(session_id)) = (app.sessions(), session_id) else {
        return Moment {
            context: said,
            is_incomplete: false,
        };
    };
    let session = app.engine().pseudonymizer().session(session_id);
    match sessions.read(session, within).await {
        Ok(Some(mut context)) => {
            context.extend(said.into_iter().flatten());
            Moment {
                context: Some(context),
                is_incomplete: false,
            }
        }
        Ok(None) => Moment {
            context: said,
            is_incomplete: false,
        },
        Err(error) => {
            tracing::debug!(%error, "a request goes on without the attributes of its session");
            Moment {
                context: said,
                is_incomplete: true,
            }
        }
    }
}
