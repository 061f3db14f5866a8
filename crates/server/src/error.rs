//! Every error answer of the API: one JSON shape, one table of codes.
//!
//! `{"error": {"code", "message", "field"?, "expected"?, "value"?, "docs"}}`. The code is stable
//! and for programs, the message for people.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nowcast_engine::EngineError;
use nowcast_types::{ErrorKind, Refusal};
use serde::Serialize;
use utoipa::ToSchema;

/// Where the codes are explained.
const DOCS: &str = "/docs#errors";

/// The least whole seconds that a client told to come back should wait.
pub const RETRY_AFTER_SECS_MIN: u64 = 1;

/// An error on its way to the client.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    body: Box<ErrorBody>,
    retry_after_secs: Option<u64>,
}

/// The body of an error answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// Stable and machine-readable.
    pub code: String,
    /// One plain sentence.
    pub message: String,
    /// The field that broke a rule, as a path; absent for the whole request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What was expected of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The offending value, cut to 64 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where the code is explained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
}

impl ErrorDetail {
    /// The detail of a refusal, without the link (it appears many times in a batch answer).
    #[must_use]
    pub fn of_refusal(refusal: &Refusal) -> Self {
        Self {
            code: refusal.code.as_str().to_owned(),
            message: refusal.to_string(),
            field: (!refusal.field.is_empty()).then(|| refusal.field.clone()),
            expected: Some(refusal.expected.clone()),
            value: refusal.value.clone(),
            docs: None,
        }
    }
}

impl ApiError {
    /// An error with a code of its own.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            body: Box::new(ErrorBody {
                error: ErrorDetail {
                    code: code.to_owned(),
                    message: message.into(),
                    field: None,
                    expected: None,
                    value: None,
                    docs: Some(DOCS.to_owned()),
                },
            }),
            retry_after_secs: None,
        }
    }

    /// The answer to a refused piece of the client's data.
    #[must_use]
    pub fn refusal(refusal: &Refusal) -> Self {
        let mut error = Self::new(StatusCode::BAD_REQUEST, "", "");
        error.body.error = ErrorDetail {
            docs: Some(DOCS.to_owned()),
            ..ErrorDetail::of_refusal(refusal)
        };
        error
    }

    /// The body is larger than it may be.
    #[must_use]
    pub fn too_large(expected: &str) -> Self {
        let mut error = Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            format!("the body is too large: {expected}"),
        );
        error.body.error.expected = Some(expected.to_owned());
        error
    }

    /// There is nothing at this address.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// The server is full or not ready; the same request may succeed after `secs` seconds.
    pub fn unavailable(message: impl Into<String>, secs: u64) -> Self {
        Self {
            retry_after_secs: Some(secs.max(RETRY_AFTER_SECS_MIN)),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
        }
    }

    /// The client sends more than it may; it may go on after `secs` seconds.
    #[must_use]
    pub fn rate_limited(secs: u64) -> Self {
        Self {
            retry_after_secs: Some(secs.max(RETRY_AFTER_SECS_MIN)),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "this key has used up its rate; wait as `Retry-After` says",
            )
        }
    }

    /// Names the field the error is about.
    #[must_use]
    pub fn with_field(mut self, field: &str) -> Self {
        self.body.error.field = Some(field.to_owned());
        self
    }

    /// Changes the status it will be answered with.
    pub fn set_status(&mut self, status: StatusCode) {
        self.status = status;
    }

    /// The status it will be answered with.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The body it will be answered with.
    #[must_use]
    pub const fn detail(&self) -> &ErrorDetail {
        &self.body.error
    }

    /// After how many seconds the client may try again, if it may.
    #[must_use]
    pub const fn retry_after_secs(&self) -> Option<u64> {
        self.retry_after_secs
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        if let EngineError::Refused(refusal) = &error {
            return Self::refusal(refusal);
        }
        let message = error.to_string();
        match error.kind() {
            ErrorKind::InvalidInput => Self::new(StatusCode::BAD_REQUEST, "invalid_input", message),
            ErrorKind::NotFound => Self::not_found(message),
            ErrorKind::Unavailable => Self::unavailable(message, RETRY_AFTER_SECS_MIN),
            ErrorKind::Conflict => Self::new(StatusCode::CONFLICT, "conflict", message),
            ErrorKind::Corrupt | ErrorKind::Bug => {
                tracing::error!(%error, "request failed");
                Self::internal()
            }
        }
    }
}

impl ApiError {
    /// Our fault. The client learns nothing but the request id, under which the log has more.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "an error of ours; the server's log has it under this request id",
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(&*self.body)).into_response();
        if let Some(secs) = self.retry_after_secs {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.headers_mut().insert(
            HeaderName::from_static("cache-control"),
            HeaderValue::from_static("no-store"),
        );
        response
    }
}
