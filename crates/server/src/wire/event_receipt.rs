//! The answer to a body of events: what became of each, in the order they were sent.
//!
//! It is written straight into one buffer, because a batch of 500 has 500 of these lines.

use crate::error::{ApiError, ErrorDetail};
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use nowcast_engine::{EventFate, IngestOutcome};
use nowcast_types::Refusal;
use serde::Serialize;
use utoipa::ToSchema;

/// What became of a request's events. (The documented shape; the answer is written by hand.)
#[derive(Debug, Serialize, ToSchema)]
pub struct EventsReceipt {
    /// Events that are durable now.
    pub accepted: usize,
    /// Events that broke a rule.
    pub refused: usize,
    /// Events that were understood but are too old or too far ahead; kept as dead letters.
    pub dead_lettered: usize,
    /// Events that could not be stored this time; send the request again.
    pub failed: usize,
    /// Whether the next recommendation sees the events; only with `?wait=applied`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<bool>,
    /// One entry per event, in the order of the request.
    pub results: Vec<EventReceipt>,
}

/// What became of one event.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventReceipt {
    /// Place in the request, from 0.
    pub index: usize,
    /// `accepted`, `refused`, `dead_lettered` or `failed`.
    pub status: String,
    /// The client's id or the derived one; absent if refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// Why it was not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDetail>,
}

/// How many events met each fate.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    accepted: usize,
    refused: usize,
    dead_lettered: usize,
    failed: usize,
}

impl Tally {
    /// 200 if all are accepted, 503 if some could not be stored (the client sends all again, which
    /// counts each once), 400 if none is accepted, else 207.
    fn status(self) -> StatusCode {
        let Self {
            accepted,
            refused,
            dead_lettered,
            failed,
        } = self;
        match (failed, accepted, refused + dead_lettered) {
            (0, _, 0) => StatusCode::OK,
            (0, 0, _) => StatusCode::BAD_REQUEST,
            (0, _, _) => StatusCode::MULTI_STATUS,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Answers a request of one bare object: the event's own line, or a plain error.
///
/// # Errors
/// The reason why the event was not accepted.
pub fn single(
    outcome: &IngestOutcome<'_>,
    unreadable: &[(usize, Refusal)],
    applied: Option<bool>,
) -> Result<Response, ApiError> {
    if let Some((_, refusal)) = unreadable.first() {
        return Err(ApiError::refusal(refusal));
    }
    let Some(fate) = outcome.fates.first() else {
        return Err(ApiError::internal());
    };
    match fate {
        EventFate::Accepted { event_id, .. } => {
            let mut json = Vec::with_capacity(96);
            json.extend_from_slice(b"{\"status\":\"accepted\",\"event_id\":");
            write_json(&mut json, event_id);
            write_applied(&mut json, applied);
            json.push(b'}');
            Ok(response(StatusCode::OK, json))
        }
        EventFate::Refused(refusal) => Err(ApiError::refusal(refusal)),
        EventFate::DeadLettered(refusal) => {
            let mut error = ApiError::refusal(refusal);
            error.set_status(StatusCode::UNPROCESSABLE_ENTITY);
            Err(error)
        }
        EventFate::Failed(reason) => Err(ApiError::unavailable(reason.to_string(), 1)),
    }
}

/// Answers a request of many events.
#[must_use]
pub fn batch(
    outcome: &IngestOutcome<'_>,
    unreadable: &[(usize, Refusal)],
    applied: Option<bool>,
) -> Response {
    let len = outcome.fates.len() + unreadable.len();
    let mut results = Vec::with_capacity(64 + 80 * len);
    let mut tally = Tally::default();
    let (mut fates, mut unreadable) = (outcome.fates.iter(), unreadable.iter().peekable());
    for index in 0..len {
        if index > 0 {
            results.push(b',');
        }
        results.extend_from_slice(b"{\"index\":");
        write_json(&mut results, &index);
        let unread = unreadable.next_if(|(place, _)| *place == index);
        if let Some((_, refusal)) = unread {
            tally.refused += 1;
            write_error(&mut results, "refused", &ErrorDetail::of_refusal(refusal));
            continue;
        }
        let Some(fate) = fates.next() else { break };
        match fate {
            EventFate::Accepted { event_id, .. } => {
                tally.accepted += 1;
                results.extend_from_slice(b",\"status\":\"accepted\",\"event_id\":");
                write_json(&mut results, event_id);
                results.push(b'}');
            }
            EventFate::Refused(refusal) => {
                tally.refused += 1;
                write_error(&mut results, "refused", &ErrorDetail::of_refusal(refusal));
            }
            EventFate::DeadLettered(refusal) => {
                tally.dead_lettered += 1;
                let detail = ErrorDetail::of_refusal(refusal);
                write_error(&mut results, "dead_lettered", &detail);
            }
            EventFate::Failed(reason) => {
                tally.failed += 1;
                let error = ApiError::unavailable(reason.to_string(), 1);
                write_error(&mut results, "failed", error.detail());
            }
        }
    }
    answer(tally, &results, applied)
}

fn answer(tally: Tally, results: &[u8], applied: Option<bool>) -> Response {
    let status = tally.status();
    let mut json = Vec::with_capacity(results.len() + 256);
    json.push(b'{');
    if status == StatusCode::BAD_REQUEST || status == StatusCode::SERVICE_UNAVAILABLE {
        // A program that looks only for `error` finds one, as in every other error answer.
        let error = if status == StatusCode::BAD_REQUEST {
            ApiError::new(
                status,
                "all_refused",
                "no event of this request was accepted",
            )
        } else {
            ApiError::unavailable("some events could not be stored; send them again", 1)
        };
        json.extend_from_slice(b"\"error\":");
        write_json(&mut json, error.detail());
        json.push(b',');
    }
    for (name, count) in [
        ("\"accepted\":", tally.accepted),
        (",\"refused\":", tally.refused),
        (",\"dead_lettered\":", tally.dead_lettered),
        (",\"failed\":", tally.failed),
    ] {
        json.extend_from_slice(name.as_bytes());
        write_json(&mut json, &count);
    }
    write_applied(&mut json, applied);
    json.extend_from_slice(b",\"results\":[");
    json.extend_from_slice(results);
    json.extend_from_slice(b"]}");
    let mut response = response(status, json);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(1_u64));
    }
    response
}

fn response(status: StatusCode, json: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

fn write_applied(json: &mut Vec<u8>, applied: Option<bool>) {
    if let Some(applied) = applied {
        json.extend_from_slice(b",\"applied\":");
        write_json(json, &applied);
    }
}

fn write_error(json: &mut Vec<u8>, status: &str, error: &ErrorDetail) {
    json.extend_from_slice(b",\"status\":\"");
    json.extend_from_slice(status.as_bytes());
    json.extend_from_slice(b"\",\"error\":");
    write_json(json, error);
    json.push(b'}');
}

fn write_json(json: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(json, value).expect("a Vec takes every byte and the types have no maps");
}
