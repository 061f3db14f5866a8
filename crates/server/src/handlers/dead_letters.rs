//! `/v1/dead-letters`: what was refused, and taking it in after all.
//!
//! Whoever may administer sees the input as it was sent, raw ids included: without that nothing
//! could be repaired.

use crate::app::App;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{JsonBody, Params};
use axum::Json;
use axum::extract::{Path, State};
use nowcast_intake::{IntakeError, LetterView, Repair, Replayed, Wanted};
use nowcast_types::{ErrorKind, Refusal, RefusalCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Letters in one answer, and repairs in one request, at most.
const LETTERS_MAX: usize = 10_000;
/// Letters in one answer unless asked otherwise.
const LETTERS_SHOWN: usize = 100;

/// Which letters are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct LetterParams {
    /// Only those behind this offset: the last one of the page before.
    pub after: Option<u64>,
    /// How many, 100 if absent, 10,000 at most.
    pub limit: Option<usize>,
    /// Only those with this reason, such as `too_old`.
    pub code: Option<String>,
    /// Only those of this topic.
    pub topic: Option<String>,
    /// Those that were replayed as well.
    pub all: bool,
    /// With the input as it was sent, raw ids included.
    pub bytes: bool,
}

/// Dead letters.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetters)]
pub struct LettersOut {
    /// The letters, oldest first: `offset`, `id`, `at`, `code`, `field`, `expected`, where it came
    /// from, and on request the input.
    #[schema(value_type = Vec<Object>)]
    pub letters: Vec<LetterView>,
}

/// Letters to be replayed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Replay)]
pub struct ReplayIn {
    /// The letters by `offset`; with `value`, `value_base64` or `patch` to repair their input.
    #[schema(value_type = Vec<Object>)]
    pub letters: Vec<Repair>,
}

/// What became of the letters.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplayReceipt)]
pub struct ReplayOut {
    /// One entry per letter, in their order: `offset`, `applied`, and a `code` and `message` if not.
    #[schema(value_type = Vec<Object>)]
    pub letters: Vec<Replayed>,
}

/// What was refused and not replayed since.
#[utoipa::path(
    get, path = "/v1/dead-letters", tag = "dead letters", params(LetterParams),
    responses((status = 200, description = "Oldest first", body = LettersOut))
)]
pub async fn list(
    State(app): State<App>,
    Params(params): Params<LetterParams>,
) -> Result<Json<LettersOut>, ApiError> {
    let wanted = Wanted {
        after: params.after,
        limit: params.limit.unwrap_or(LETTERS_SHOWN).min(LETTERS_MAX),
        code: params.code,
        topic: params.topic,
        all: params.all,
        bytes: params.bytes,
    };
    let letters = reading(move || app.dead_letters().list(&wanted)).await?;
    Ok(Json(LettersOut { letters }))
}

/// One dead letter with its input as it was sent.
#[utoipa::path(
    get, path = "/v1/dead-letters/{offset}", tag = "dead letters",
    params(("offset" = u64, Path, description = "The letter's offset")),
    responses(
        (status = 200, description = "The letter", body = Object),
        (status = 404, description = "There is no such letter", body = ErrorBody),
    )
)]
pub async fn show(
    State(app): State<App>,
    offset: Result<Path<u64>, axum::extract::rejection::PathRejection>,
) -> Result<Json<LetterView>, ApiError> {
    let Path(offset) = offset.map_err(|_| {
        let refusal = Refusal::new(RefusalCode::WrongType, "offset", "a whole number");
        ApiError::refusal(&refusal)
    })?;
    let letter = reading(move || app.dead_letters().show(offset)).await?;
    Ok(Json(letter))
}

/// Takes dead letters in after all, as they were or repaired.
///
/// Events keep their ids, so replaying twice counts once.
#[utoipa::path(
    post, path = "/v1/dead-letters/replay", tag = "dead letters", request_body = ReplayIn,
    responses(
        (status = 200, description = "What became of each", body = ReplayOut),
        (status = 400, description = "The request breaks a rule", body = ErrorBody),
    )
)]
pub async fn replay(
    State(app): State<App>,
    JsonBody(body): JsonBody,
) -> Result<Json<ReplayOut>, ApiError> {
    let ReplayIn { letters } = serde_json::from_value(body).map_err(|error| {
        let refusal = Refusal::new(RefusalCode::WrongType, "", error.to_string());
        ApiError::refusal(&refusal)
    })?;
    if letters.len() > LETTERS_MAX {
        let expected = format!("at most {LETTERS_MAX} letters");
        let refusal = Refusal::new(RefusalCode::TooLong, "letters", expected);
        return Err(ApiError::refusal(&refusal));
    }
    let replayed = app.dead_letters().replay(&letters).await;
    Ok(Json(ReplayOut {
        letters: replayed.map_err(answer)?,
    }))
}

/// Reads the log off the async threads.
async fn reading<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, IntakeError> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read.map_err(answer),
        Err(_) => Err(ApiError::internal()),
    }
}

fn answer(error: IntakeError) -> ApiError {
    let message = error.to_string();
    match error.kind() {
        ErrorKind::NotFound => ApiError::not_found(message),
        ErrorKind::Unavailable => ApiError::unavailable(message, 1),
        _ => {
            tracing::error!(%error, "dead letters cannot be read");
            ApiError::internal()
        }
    }
}
