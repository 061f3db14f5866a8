//! `POST /v1/recommendations`.

use super::events::device;
use super::lists::K_DEFAULT;
use super::sessions;
use super::waiting::beside_others;
use crate::app::App;
use crate::error::{ApiError, ErrorBody};
use crate::extract::JsonBody;
use crate::guard::RequestId;
use crate::wire::recommendation_in::RecommendationIn;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use nowcast_engine::{Answer, CallSubject, HistoryInput, RecommendCall};
use serde::Serialize;
use std::time::{Duration, Instant};
use utoipa::ToSchema;

/// The slot of requests that name none.
const SLOT_DEFAULT: &str = "default";

/// A ranked list.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnswerOut<'a> {
    /// Id of this answer; send it back with the events it leads to.
    pub request_id: &'a str,
    /// The slot it was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<&'a str>,
    /// How personal it is: `personalized`, `segment`, `trending` or `static`.
    pub rung: &'static str,
    /// Best first.
    pub items: Vec<ItemScore<'a>>,
    /// The models in use.
    pub models: Vec<ModelOut<'a>>,
    /// Components skipped because the deadline had passed; absent on a complete answer.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub late: &'a [&'static str],
    /// How the answer came about; only with `explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub explanation: Option<&'a nowcast_engine::Explanation>,
}

/// One item of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct ItemScore<'a> {
    /// The item.
    pub item_id: &'a str,
    /// The score that ordered it; comparable only within this answer.
    pub score: f32,
    /// What brought it.
    pub source: &'static str,
    /// Whether chance, not the score, put it here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_exploration: bool,
}

/// A model in use.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelOut<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
}

/// The answer in wire words.
pub(crate) fn answer_out<'a>(
    request_id: &'a RequestId,
    slot: Option<&'a str>,
    answer: &'a Answer,
) -> AnswerOut<'a> {
    let items = answer.items.iter().map(|item| ItemScore {
        item_id: &item.item_id,
        score: item.score,
        source: item.source,
        is_exploration: item.is_exploration,
    });
    let models = answer.models.iter().map(|model| ModelOut {
        name: &model.name,
        version: &model.version,
    });
    AnswerOut {
        request_id: &request_id.0,
        slot,
        rung: answer.rung.name(),
        items: items.collect(),
        models: models.collect(),
        late: &answer.late,
        explanation: answer.explanation.as_deref(),
    }
}

/// Answers with a ranked list for a user, a visitor, a history, or nobody in particular; or
/// re-ranks the `candidates` that the caller brings.
#[utoipa::path(
    post, path = "/v1/recommendations", tag = "recommendations",
    request_body = RecommendationIn,
    responses(
        (status = 200, description = "Best first", body = AnswerOut),
        (status = 400, description = "A field breaks a rule", body = ErrorBody),
        (status = 404, description = "There is no such slot", body = ErrorBody),
        (status = 429, description = "Too many requests of this key", body = ErrorBody),
        (status = 503, description = "Too busy", body = ErrorBody),
    )
)]
pub async fn recommend(
    State(app): State<App>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    let engine = app.engine();
    let begun = Instant::now();
    let mut asked = RecommendationIn::from_json(body, engine)?;
    let budget = asked.deadline_ms.map_or_else(
        || engine.config().serving.deadline.duration(),
        Duration::from_millis,
    );
    let said = asked.context.take();
    let session_id = asked.session_id.as_deref();
    let moment = sessions::moment(&app, session_id, said, budget).await;
    let now = engine.now();
    let history: Vec<HistoryInput<'_>> = asked
        .history
        .iter()
        .flatten()
        .map(|entry| HistoryInput {
            item_id: &entry.item_id,
            strength: entry.strength.unwrap_or(1.0),
            timestamp: entry.timestamp.map_or(now, nowcast_types::Timestamp),
        })
        .collect();
    let subject = match (&asked.user_id, &asked.session_id, &asked.history) {
        (Some(user_id), session_id, _) => CallSubject::User {
            user_id,
            session_id: session_id.as_deref(),
        },
        (None, _, Some(_)) => CallSubject::History(&history),
        (None, Some(session_id), None) => CallSubject::Visitor { session_id },
        (None, None, None) => CallSubject::Anonymous,
    };
    let exclude: Vec<&str> = asked.exclude.iter().map(String::as_str).collect();
    let candidates: Option<Vec<&str>> = asked
        .candidates
        .as_ref()
        .map(|list| list.iter().map(String::as_str).collect());
    let slot = asked.slot.as_deref().unwrap_or(SLOT_DEFAULT);
    let stored = engine.read_ahead(subject).await;
    let call = RecommendCall {
        request_id: &request_id.0,
        stored: stored.as_ref(),
        context: moment.context.as_ref(),
        exclude: &exclude,
        filter: asked.filter.as_deref(),
        candidates: candidates.as_deref(),
        explain: asked.explain,
        deadline: Some(budget.saturating_sub(begun.elapsed())),
        records_impressions: asked.impressions.unwrap_or(true),
        device: device(&headers),
        ..RecommendCall::new(subject, slot, asked.k.unwrap_or(K_DEFAULT))
    };
    let mut answer = beside_others(engine, || engine.recommend(&call))?;
    if moment.is_incomplete {
        answer.late.push(sessions::COMPONENT);
    }
    Ok(Json(answer_out(&request_id, Some(slot), &answer)).into_response())
}
